//! From the settings to what each room wants to know.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::directory::{self, READER_CONNECTIONS};
use crate::domain::limits::{Limits, UnknownFields};
use crate::domain::throttle::{Limit, Numbers, Window};
use crate::embedded::EmbeddedOptions;
use crate::http::{FeedRules, Patience, Rules, ThrottleRules};
use crate::rta;
use crate::settings::{self, Settings, SocialSettings, SocialSource, SocketSettings, ThrottleSettings};
use crate::social::{self, HttpOptions};

/// How many queries a worker has under way at a time over connections of its own, where there are enough of them: while the server
/// answers one, another one is read and rendered.
const QUERIES_EACH: u32 = 2;
/// How many searches run at a time where connections abound.
const SEARCHES_MAX: usize = 6;
/// The most connections of the private server: the pool, and room for people with psql and for measurements beside the service.
const SPARE_CONNECTIONS: u32 = 48;

pub(super) fn embedded_options(settings: &Settings) -> EmbeddedOptions {
    EmbeddedOptions {
        data_dir: settings.embedded.data_dir.clone(),
        binaries: settings.embedded.binaries.clone(),
        durable: true,
        max_connections: settings.database.pool_max + SPARE_CONNECTIONS,
        extra: vec![("shared_buffers".to_owned(), format!("{}MB", settings.embedded.shared_buffers_mb))],
    }
}

pub(super) fn social_source(settings: &SocialSettings) -> social::Source {
    match settings.source {
        SocialSource::Table => social::Source::Table,
        SocialSource::Http => social::Source::Http(HttpOptions {
            url: settings.url.clone().unwrap_or_default(),
            bearer: settings.bearer.clone(),
            timeout: Duration::from_millis(settings.timeout_ms),
            cache: TimeDelta::seconds(settings.cache_s.into()),
        }),
    }
}

pub(super) fn socket_options(settings: &SocketSettings) -> rta::Options {
    let ping_interval = Duration::from_millis(settings.ping_interval_ms);
    rta::Options {
        tick: rta::tick(ping_interval),
        ping_interval,
        idle: Duration::from_millis(settings.idle_ms),
        lifetime: Duration::from_secs(settings.lifetime_s),
        subscriptions_max: settings.subscriptions_max,
        frame_bytes: settings.frame_bytes,
        send_timeout: Duration::from_millis(settings.send_timeout_ms),
    }
}

fn throttle_rules(settings: &ThrottleSettings) -> ThrottleRules {
    ThrottleRules {
        enabled: settings.enabled,
        acting_users: settings.acting_users,
        entries_max: settings.entries_max,
        numbers: Numbers {
            requests: Limit {
                burst: Window { max: settings.requests_burst_max, period_s: settings.requests_burst_period_s },
                sustained: Window { max: settings.requests_sustained_max, period_s: settings.requests_sustained_period_s },
            },
            search_reads: Limit {
                burst: Window { max: settings.search_reads_burst_max, period_s: settings.search_reads_burst_period_s },
                sustained: Window {
                    max: settings.search_reads_sustained_max,
                    period_s: settings.search_reads_sustained_period_s,
                },
            },
            search_writes: Limit {
                burst: Window { max: settings.search_writes_burst_max, period_s: settings.search_writes_burst_period_s },
                sustained: Window {
                    max: settings.search_writes_sustained_max,
                    period_s: settings.search_writes_sustained_period_s,
                },
            },
        },
    }
}

pub(super) fn directory_options(settings: &Settings) -> directory::Options {
    let limits = &settings.limits;
    directory::Options {
        limits: Limits {
            session_custom_bytes: limits.session_custom_bytes,
            member_custom_bytes: limits.member_custom_bytes,
            session_bytes: limits.session_bytes,
            array_entries: limits.system_array_entries,
            change_types: limits.change_types,
            keywords: limits.keywords,
            unknown_fields: match settings.sessions.unknown_system_fields {
                settings::UnknownFields::Reject => UnknownFields::Reject,
                settings::UnknownFields::Ignore => UnknownFields::Ignore,
            },
            weak_device_types: settings.access.weak_device_types.clone(),
            invite: TimeDelta::seconds(settings.handles.invite_ttl_s.into()),
            grace: TimeDelta::milliseconds(settings.timers.grace_ms.into()),
            unbound_activity: TimeDelta::seconds(settings.handles.unbound_activity_ttl_s.into()),
        },
        everybody_follows: settings.social.everybody_follows_everybody,
        search_rows: settings.search.rows_max.into(),
        searches: (shared_connections(settings) as usize / 2).min(SEARCHES_MAX),
        queries: shared_connections(settings) as usize / 2,
        gatherers: directory::GATHERERS,
        queue_per_session: settings.queues.per_session,
        queue_total: settings.queues.total,
        memory_bytes: settings.memory.sessions_mb * 1024 * 1024,
        metrics: Arc::default(),
    }
}

/// How many workers read for themselves: all of them, as long as that takes no more than half of the connections.
pub(super) fn readers(settings: &Settings) -> usize {
    let workers = match settings.server.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        workers => workers,
    };
    workers.min((settings.database.pool_max / (2 * READER_CONNECTIONS)) as usize)
}

/// How many further connections each of those has for queries: what is left of that half, as far as it is of use.
pub(super) fn queries_each(settings: &Settings) -> u32 {
    let share = (settings.database.pool_max / 2).checked_div(own(settings)).unwrap_or(0);
    share.saturating_sub(READER_CONNECTIONS).min(QUERIES_EACH)
}

/// The connections that are no worker's own.
pub(super) fn shared_connections(settings: &Settings) -> u32 {
    settings.database.pool_max - own(settings) * (READER_CONNECTIONS + queries_each(settings))
}

fn own(settings: &Settings) -> u32 {
    u32::try_from(readers(settings)).expect("there are fewer readers than connections")
}

pub(super) fn request_rules(settings: &Settings, dev: bool) -> Rules {
    Rules {
        body_bytes: settings.limits.request_body_bytes,
        import_bytes: settings.limits.import_bytes,
        json_depth: settings.limits.json_depth,
        header_bytes: settings.limits.header_bytes,
        patience: Patience {
            request: Duration::from_millis(settings.server.request_timeout_ms),
            body: Duration::from_millis(settings.server.body_timeout_ms),
            slow: Duration::from_millis(settings.telemetry.slow_request_ms),
        },
        exports_spans: settings.telemetry.otlp_endpoint.is_some(),
        joins_traces: settings.telemetry.otlp_join_callers,
        metrics_bearer: settings.telemetry.metrics_bearer.clone(),
        banned: settings.access.banned_xuids.clone(),
        feeds: FeedRules {
            open_max: settings.feeds.open_max,
            per_caller_max: settings.feeds.per_caller_max,
            poll: Duration::from_millis(settings.feeds.poll_ms),
            heartbeat: Duration::from_millis(settings.feeds.heartbeat_ms),
            lifetime: Duration::from_secs(settings.feeds.lifetime_s),
        },
        throttle: throttle_rules(&settings.throttle),
        dev,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Overrides};

    #[test]
    fn readers_have_at_most_half_of_the_connections_and_searches_half_of_the_rest() {
        let defaults = Settings::load(Overrides::default(), &Environment::default());
        let mut settings = defaults.expect("the defaults are sound").settings;
        for (workers, pool_max, expected) in [
            (2, 16, (2, 2, 8, 4)),
            (1, 16, (1, 2, 12, 6)),
            (3, 16, (3, 0, 10, 5)),
            (3, 18, (3, 1, 9, 4)),
            (32, 16, (4, 0, 8, 4)),
            (1024, 1000, (250, 0, 500, 6)),
            (2, 7, (1, 1, 4, 2)),
            (2, 3, (0, 0, 3, 1)),
            (2, 1, (0, 0, 1, 0)),
        ] {
            settings.server.workers = workers;
            settings.database.pool_max = pool_max;
            let searches = directory_options(&settings).searches;
            let found = (readers(&settings), queries_each(&settings), shared_connections(&settings), searches);
            assert_eq!(found, expected, "{workers} of {pool_max}");
        }
    }
}
