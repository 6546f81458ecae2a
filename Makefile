# The manual: `make` lists what can be done.

# rustup puts cargo here, and not every shell knows.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help run load test bench bench-growth bench-latency instructions bless fuzz-api lint fmt toolchain postgres deployment valgrind generators

help: ## list what can be done
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

run: toolchain ## serve on this machine, for development; ARGS="--listen 127.0.0.1:9000" adds arguments
	@[ -n "$$DATABASE_URL$$OPENMPSD__DATABASE__URL" ] || scripts/ensure-postgres
	cargo run --release -- serve --dev $(ARGS)

load: toolchain ## load-test a service that runs (docs/load.md); ARGS="--target http://127.0.0.1:8080 ..." names it and what is done
	cargo run --release -p openmpsd-load -- $(ARGS)

test: toolchain postgres deployment generators ## run every test, against a PostgreSQL of their own; ARGS="writes" picks some
	cargo test --workspace $(ARGS)

instructions: toolchain valgrind ## count the instructions of hot functions and compare (docs/performance.md); OPENMPSD_BLESS=1 takes them as they are
	cargo test --lib -- --ignored --exact tests::guard::hot_functions_take_as_many_instructions_as_they_did

bench: toolchain postgres generators ## measure beside pgbench, into bench/out; BENCH_QUICK=1 measures less, ARGS="--only get-session" adds arguments
	cargo build --release -p openmpsd -p openmpsd-bench
	cargo run --release -p openmpsd-bench -- run $(if $(BENCH_QUICK),--quick) $(ARGS)

bench-growth: toolchain postgres generators ## measure what requests cost as sessions become more, to 2,000,000; ARGS="--sizes 20000,200000" ends earlier
	cargo build --release -p openmpsd -p openmpsd-bench
	cargo run --release -p openmpsd-bench -- growth $(ARGS)

bench-latency: toolchain postgres generators ## measure how long requests take at half the possible rate; BENCH_QUICK=1 and ARGS as for bench
	cargo build --release -p openmpsd -p openmpsd-bench
	cargo run --release -p openmpsd-bench -- latency $(if $(BENCH_QUICK),--quick) $(ARGS)

bless: toolchain postgres ## take transcripts, examples, docs/openapi.json, docs/sql.md, the table of authority and tests/data/allocations.txt as they are now
	OPENMPSD_BLESS=1 cargo test --lib scenarios
	OPENMPSD_BLESS=1 cargo test --lib guard::
	OPENMPSD_BLESS=1 cargo test --test it openapi::the_examples
	OPENMPSD_BLESS=1 cargo test --lib openapi::
	OPENMPSD_BLESS=1 cargo test --test it authority::
	OPENMPSD_BLESS=1 cargo test --test it admin_sql

fuzz-api: toolchain postgres ## hold a running service against its description, with made-up requests
	cargo build
	scripts/schemathesis $(ARGS)

lint: toolchain ## check formatting and lints as CI does
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt: toolchain ## format the sources
	cargo fmt --all

toolchain:
	@scripts/ensure-toolchain

postgres:
	@scripts/ensure-postgres

deployment:
	@scripts/ensure-deployment

valgrind:
	@scripts/ensure-valgrind

generators:
	@scripts/ensure-bench
