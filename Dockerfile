# The service and its load test in one image; docs/deployment.md says how it is run. Builds with and without BuildKit.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# The dependencies in a layer of their own: they change seldom and take most of the time.
COPY Cargo.toml Cargo.lock ./
COPY load/Cargo.toml load/
# A member of the workspace that the image does without.
COPY bench/Cargo.toml bench/
RUN mkdir -p src load/src bench/src \
    && touch src/lib.rs \
    && echo 'fn main() {}' | tee src/main.rs load/src/main.rs >bench/src/main.rs \
    && cargo build --release --locked -p openmpsd -p openmpsd-load --bins
COPY config config
COPY build.rs ./
COPY migrations migrations
COPY src src
COPY load load
# Copied files are older than what has just been built from the empty ones; cargo goes by that.
RUN touch src/lib.rs src/main.rs load/src/main.rs \
    && cargo build --release --locked -p openmpsd -p openmpsd-load --bins

FROM debian:bookworm-slim
# Certificates of authorities, for calls to https: a social source, a collector of traces.
RUN apt-get update -q \
    && apt-get install -qy --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# Volumes take over the owner of the folder they are mounted on. Nobody else may look in.
RUN useradd --system --uid 10001 --home-dir /var/lib/openmpsd --shell /usr/sbin/nologin openmpsd \
    && install -d -o openmpsd -g openmpsd -m 0700 /var/lib/openmpsd \
    && install -d -o openmpsd -g openmpsd -m 0755 /report
COPY --from=build /src/target/release/openmpsd /src/target/release/openmpsd-load /usr/local/bin/
# Where services.directory finds them by its default.
COPY config/services /opt/openmpsd/config/services
WORKDIR /opt/openmpsd
USER openmpsd
# The data directory is /var/lib/openmpsd then; loopback would be the container's own.
ENV XDG_DATA_HOME=/var/lib \
    OPENMPSD__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["openmpsd", "health", "--ready"]
LABEL org.opencontainers.image.title="openmpsd" \
      org.opencontainers.image.description="An open, self-hosted Multiplayer Session Directory" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["openmpsd"]
CMD ["serve"]
