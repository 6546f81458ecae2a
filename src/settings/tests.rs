//! Every source, in its order, and every way to get a setting wrong.

use std::fs;
use std::path::Path;

use rstest::rstest;
use secrecy::ExposeSecret;

use super::*;

fn load(variables: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
    Settings::load(Overrides { data_dir: Some("/data".into()), ..Overrides::default() }, &variables.iter().collect())
}

/// A file that lives as long as its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openmpsd-settings-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
        let overrides = Overrides { config: Some(self.0.clone()), data_dir: Some("/data".into()), ..Overrides::default() };
        Settings::load(overrides, &variables.iter().collect())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// No field has a default of its own and none unknown is taken, so loading proves that file and structs hold the same keys.
#[test]
fn default_toml_holds_exactly_the_keys_of_the_structs() {
    let Loaded { settings, warnings } = load(&[]).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert!(settings.database.url.is_none() && settings.embedded.binaries.is_none());
    assert_eq!(settings.limits.request_body_bytes, 262_144, "S-95");
    assert_eq!(
        (settings.sockets.ping_interval_ms, settings.sockets.idle_ms, settings.sockets.lifetime_s),
        (10_000, 20_000, 7200)
    );
    assert_eq!((settings.sockets.subscriptions_max, settings.sockets.frame_bytes), (1000, 65_536));
    assert_eq!(settings.auth.leeway_s, 60, "A-01");
    assert_eq!((settings.feeds.open_max, settings.feeds.poll_ms, settings.feeds.heartbeat_ms), (1000, 1000, 15_000));
    assert_eq!((settings.feeds.per_caller_max, settings.feeds.lifetime_s), (20, 7200));
    assert_eq!(settings.log.keep_days, 7);
    let throttle = &settings.throttle;
    assert!(!throttle.enabled && throttle.acting_users, "W-80");
    assert_eq!((throttle.requests_burst_max, throttle.requests_sustained_max, throttle.entries_max), (30, 300, 100_000), "W-80");
    assert_eq!(settings.sessions.unknown_system_fields, UnknownFields::Reject, "S-09");
    assert!(settings.auth.keys.is_empty() && settings.access.banned_xuids.is_empty());
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn every_key_of_default_toml_is_explained() {
    let mut explained = false;
    for line in DEFAULTS.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(explained, "{line} wants a comment");
        } else {
            explained = line.starts_with('#');
        }
    }
}

#[test]
fn later_sources_win() {
    let file = Scratch::new("order", "[server]\nworkers = 2\nshutdown_ms = 2\nlisten = \"127.0.0.2:2\"");
    let environment = [("OPENMPSD__SERVER__SHUTDOWN_MS", "3"), ("OPENMPSD__SERVER__LISTEN", "127.0.0.3:3")];
    let overrides = Overrides {
        config: Some(file.0.clone()),
        listen: Some("127.0.0.4:4".parse().unwrap()),
        data_dir: Some("/flag".into()),
        services: Some("/services".into()),
    };
    let settings = Settings::load(overrides, &environment.iter().collect()).unwrap().settings;
    assert_eq!((settings.server.workers, settings.server.shutdown_ms), (2, 3));
    assert_eq!(settings.server.listen.port(), 4);
    assert_eq!(settings.embedded.data_dir, Path::new("/flag"));
    assert_eq!(settings.services.directory, Path::new("/services"));
    assert_eq!(settings.timers.sweep_interval_ms, 1000, "the default");
}

#[test]
fn variables_hold_lists_words_and_switches() {
    let settings = load(&[
        ("OPENMPSD__AUTH__KEYS", "/etc/openmpsd/a.pem, /etc/openmpsd/b.json"),
        ("OPENMPSD__ACCESS__BANNED_XUIDS", "2533274790000001,18446744073709551615"),
        ("OPENMPSD__TELEMETRY__FORMAT", "json"),
        ("OPENMPSD__SOCIAL__EVERYBODY_FOLLOWS_EVERYBODY", "true"),
        ("OPENMPSD_TEST_DATABASE_URL", "is not ours"),
    ])
    .unwrap()
    .settings;
    assert_eq!(settings.auth.keys, [Path::new("/etc/openmpsd/a.pem"), Path::new("/etc/openmpsd/b.json")]);
    assert_eq!(settings.access.banned_xuids, [2_533_274_790_000_001, u64::MAX]);
    assert_eq!(settings.telemetry.format, LogFormat::Json);
    assert!(settings.social.everybody_follows_everybody);
}

#[test]
fn a_social_endpoint_has_an_address_and_perhaps_a_secret() {
    let variables =
        |url| [("OPENMPSD__SOCIAL__SOURCE", "HTTP"), ("OPENMPSD__SOCIAL__URL", url), ("OPENMPSD__SOCIAL__BEARER", "hunter2")];
    let social = load(&variables("https://people.example/edges")).unwrap().settings.social;
    assert_eq!((social.source, social.timeout_ms, social.cache_s), (SocialSource::Http, 500, 30));
    assert!(!format!("{social:?}").contains("hunter2"));
    let social = load(&variables("https://me:hunter3@people.example/edges")).unwrap().settings.social;
    assert!(!format!("{social:?}").contains("hunter"), "{social:?}");
    let refused = load(&variables("https://people.example/edges?of=")).unwrap_err();
    assert_eq!(refused.to_string(), "social.url: must not hold ? or #: the xuid is appended to it");
}

#[test]
fn lists_in_a_file_take_texts_and_numbers() {
    let file = Scratch::new("lists", "[access]\nbanned_xuids = [\"1\", 2]\n[auth]\nkeys = [\"keys\"]");
    let settings = file.load(&[]).unwrap().settings;
    assert_eq!(settings.access.banned_xuids, [1, 2]);
    assert_eq!(settings.auth.keys, [Path::new("keys")]);
}

#[rstest]
#[case::shared(&[("DATABASE_URL", "postgres://a/x")], "postgres://a/x", 0)]
#[case::empty(&[("DATABASE_URL", ""), ("OPENMPSD__DATABASE__URL", "postgres://b/x")], "postgres://b/x", 0)]
#[case::same(&[("DATABASE_URL", "postgres://a/x"), ("OPENMPSD__DATABASE__URL", "postgres://a/x")], "postgres://a/x", 0)]
#[case::different(&[("DATABASE_URL", "postgres://a/x"), ("OPENMPSD__DATABASE__URL", "postgres://b/x")], "postgres://b/x", 1)]
fn the_database_is_named_by_two_variables(#[case] variables: &[(&str, &str)], #[case] url: &str, #[case] warning_count: usize) {
    let Loaded { settings, warnings } = load(variables).unwrap();
    assert_eq!(settings.database.url.unwrap().expose_secret(), url);
    assert_eq!(warnings.len(), warning_count, "{warnings:?}");
}

#[test]
fn database_url_wins_over_the_file_with_a_warning() {
    let file = Scratch::new("database", "[database]\nurl = \"postgres://file/x\"");
    let Loaded { settings, warnings } = file.load(&[("DATABASE_URL", "postgres://shared/x")]).unwrap();
    assert_eq!(settings.database.url.unwrap().expose_secret(), "postgres://shared/x");
    assert_eq!(warnings, ["DATABASE_URL names another database than the settings file, and wins"]);
}

#[test]
fn passwords_are_never_shown() {
    let loaded = load(&[("DATABASE_URL", "postgres://u:hunter2@h/x")]).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let refused = load(&[("DATABASE_URL", "mysql://u:hunter2@h/x")]).unwrap_err();
    assert_eq!(refused.to_string(), "database.url: must begin with postgres:// or postgresql://");
}

#[test]
fn a_slip_in_a_file_is_placed_and_its_line_is_not_shown() {
    let file = Scratch::new("slip", "[database]\nurl = \"postgres://u:hunter2@h/x\nmigrate_url = \"\"");
    let message = file.load(&[]).unwrap_err().to_string();
    assert!(message.contains("-slip.toml, line 2, column ") && !message.contains("hunter2"), "{message}");
}

#[rstest]
#[case("postgres://u:p@h/x?sslpassword=hunter2", "database.url: sslpassword asks for TLS, ")]
#[case(
    "postgres://u:p@h/x?sslmode=require",
    "database.url: sslmode asks for TLS, which connections to the database cannot speak"
)]
#[case("postgres://u:p@h/x?ssl-mode=verify-full", "database.url: ssl-mode asks for TLS, ")]
#[case("postgres://u:p@h/x?passwd=hunter2", "database.url: has a parameter \"passwd\" that no driver knows: leave it out")]
#[case("postgres://u:p@h/x?Hunter2!", "database.url: has a parameter \"…\" that no driver knows")]
#[case("postgres://u:hunter2?@h/x", "database.url: cannot be read: ")]
#[case("postgres://u:p@h/x?sslmode=prefer&host=%2Frun&port=1&options[jit]=off&connect_timeout=3", "")]
fn what_a_database_url_asks_for_in_vain_is_refused(#[case] url: &str, #[case] starts: &str) {
    let says = load(&[("DATABASE_URL", url)]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        says.starts_with(starts) && says.is_empty() == starts.is_empty() && !says.to_lowercase().contains("hunter2"),
        "{says}"
    );
}

#[test]
fn a_collector_whose_address_cannot_be_read_is_not_shown() {
    let refused = load(&[("OPENMPSD__TELEMETRY__OTLP_ENDPOINT", "http://me:hunter2@:x/")]).unwrap_err().to_string();
    assert!(refused.starts_with("telemetry.otlp_endpoint: is no URL: ") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_variable_with_one_underscore_is_warned_about() {
    let variables = [
        ("OPENMPSD_SERVER__LISTEN", "x"),
        ("OPENMPSD_DATABASE_URL", "x"),
        ("OPENMPSD_TOKEN", "x"),
        ("OPENMPSD_PORT", "tcp://10.0.0.1:80"),
        ("OPENMPSD_SERVICE_HOST", "10.0.0.1"),
    ];
    let warnings = load(&variables).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("the variable OPENMPSD_DATABASE_URL is ignored"), "{warnings:?}");
    assert!(warnings[1].starts_with("the variable OPENMPSD_SERVER__LISTEN is ignored"), "{warnings:?}");
}

#[rstest]
#[case::key("OPENMPSD__SERVER__LISTN", "x", "unknown settings: server.listn in the environment (did you mean server.listen?)")]
#[case::section("OPENMPSD__SEVER__LISTEN", "x", "unknown settings: sever in the environment (did you mean server?)")]
#[case::far("OPENMPSD__SERVER__COLOUR", "x", "unknown settings: server.colour in the environment")]
#[case::number("OPENMPSD__SERVER__WORKERS", "many", "server.workers in the environment: must be an integer, not string \"many\"")]
#[case::negative("OPENMPSD__SERVER__WORKERS", "-1", "server.workers in the environment: must be an integer, not string \"-1\"")]
#[case::range("OPENMPSD__DATABASE__POOL_MAX", "0", "database.pool_max: must be 1 to 1000, not 0")]
#[case::word("OPENMPSD__TELEMETRY__FORMAT", "xml", "telemetry.format: must be \"pretty\" or \"json\", not \"xml\"")]
#[case::address(
    "OPENMPSD__SERVER__LISTEN",
    "8080",
    "server.listen: must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080, not \"8080\""
)]
#[case::xuid("OPENMPSD__ACCESS__BANNED_XUIDS", "1,two", "access.banned_xuids: \"two\": invalid digit found in string")]
#[case::empty("OPENMPSD__AUTH__ISSUER", "", "auth.issuer: must not be empty")]
#[case::alone("OPENMPSD__DATABASE__MIGRATE_URL", "postgres://a/b", "database.migrate_url: needs database.url beside it")]
#[case::pair("OPENMPSD__QUEUES__PER_SESSION", "9000", "queues.per_session: 9000 is more than queues.total, 8192")]
#[case::sockets("OPENMPSD__SOCKETS__LIFETIME_S", "0", "sockets.lifetime_s: must be 1 to 31536000, not 0")]
#[case::sockets(
    "OPENMPSD__SOCKETS__IDLE_MS",
    "14999",
    "sockets.idle_ms: 14999 is less than 15000, one and a half times sockets.ping_interval_ms"
)]
#[case::endpoint("OPENMPSD__SOCIAL__SOURCE", "http", "social.url: must begin with http:// or https://")]
#[case::endpoint("OPENMPSD__SOCIAL__URL", "http://a/b", "social.url: needs social.source = \"http\"")]
#[case::endpoint("OPENMPSD__SOCIAL__BEARER", "x", "social.bearer: needs social.source = \"http\"")]
#[case::endpoint("OPENMPSD__SOCIAL__CACHE_S", "0", "social.cache_s: must be 1 to 86400, not 0")]
#[case::range("OPENMPSD__LOG__KEEP_DAYS", "0", "log.keep_days: must be 1 to 3650, not 0")]
#[case::range("OPENMPSD__THROTTLE__ENTRIES_MAX", "999", "throttle.entries_max: must be 1000 to 100000000, not 999")]
#[case::range(
    "OPENMPSD__THROTTLE__REQUESTS_BURST_MAX",
    "1000001",
    "throttle.requests_burst_max: must be 0 to 1000000, not 1000001"
)]
#[case::range(
    "OPENMPSD__THROTTLE__SEARCH_READS_SUSTAINED_PERIOD_S",
    "0",
    "throttle.search_reads_sustained_period_s: must be 1 to 86400, not 0"
)]
#[case::range("OPENMPSD__FEEDS__OPEN_MAX", "100001", "feeds.open_max: must be 0 to 100000, not 100001")]
#[case::range("OPENMPSD__FEEDS__PER_CALLER_MAX", "100001", "feeds.per_caller_max: must be 0 to 100000, not 100001")]
#[case::range("OPENMPSD__FEEDS__LIFETIME_S", "0", "feeds.lifetime_s: must be 1 to 31536000, not 0")]
#[case::range("OPENMPSD__FEEDS__POLL_MS", "9", "feeds.poll_ms: must be 10 to 60000, not 9")]
#[case::range("OPENMPSD__FEEDS__HEARTBEAT_MS", "0", "feeds.heartbeat_ms: must be 100 to 600000, not 0")]
#[case::shape("OPENMPSD__SERVER", "x", "server: invalid type: string \"x\", expected struct ServerSettings")]
fn mistakes_are_named(#[case] variable: &str, #[case] value: &str, #[case] message: &str) {
    assert_eq!(load(&[(variable, value)]).unwrap_err().to_string(), message);
}

#[test]
fn n19_a_client_has_half_an_interval_to_answer_a_ping() {
    assert!(load(&[("OPENMPSD__SOCKETS__IDLE_MS", "15000")]).is_ok());
    let seldom = [("OPENMPSD__SOCKETS__PING_INTERVAL_MS", "3600000"), ("OPENMPSD__SOCKETS__IDLE_MS", "5400000")];
    assert!(load(&seldom).is_ok());
}

#[test]
fn mistakes_in_a_file_are_told_all_at_once() {
    let file = Scratch::new("unknown", "[limits]\njson_deth = 3\n[tiemrs]\nsweep_interval_ms = 1");
    let message = file.load(&[]).unwrap_err().to_string();
    assert!(message.contains("limits.json_deth in ") && message.contains("(did you mean limits.json_depth?)"), "{message}");
    assert!(message.contains("; tiemrs in ") && message.contains("(did you mean timers?)"), "{message}");

    let file = Scratch::new("invalid", "[limits]\njson_depth = 3\n[timers]\nsweep_interval_ms = 1");
    let message = file.load(&[]).unwrap_err().to_string();
    assert_eq!(message, "timers.sweep_interval_ms: must be 10 to 60000, not 1; limits.json_depth: must be 8 to 128, not 3");
}

#[test]
fn a_bad_file_is_named() {
    let file = Scratch::new("bad", "[server\nlisten = 1");
    let broken = file.load(&[]).unwrap_err().to_string();
    fs::remove_file(&file.0).unwrap();
    let missing = file.load(&[]).unwrap_err().to_string();
    for message in [broken, missing] {
        assert!(message.starts_with("cannot read the settings file: ") && message.contains("-bad.toml"), "{message}");
    }
}

#[test]
fn mistakes_of_every_kind_are_told_at_once() {
    let file = Scratch::new("several", "[limits]\njson_deth = 3\njson_depth = 3\n[server]\nworkers = \"many\"");
    let problems = file.load(&[("OPENMPSD__SERVER__LISTEN", "8080")]).unwrap_err().problems();
    assert_eq!(problems.len(), 4, "{problems:?}");
    let starts = ["unknown setting: limits.json_deth in ", "server.", "server.", "limits.json_depth: must be 8 to 128, not 3"];
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    let keys = |key| problems.iter().filter(|problem| problem.starts_with(key)).count();
    assert_eq!((keys("server.listen"), keys("server.workers")), (1, 1), "{problems:?}");
}

#[test]
fn every_value_says_where_it_comes_from() {
    let file = Scratch::new("sources", "# ours\n[server]\nworkers = 2\n\n[auth]\nissuer = \"me\"\nkeys = [\"a.pem\"]");
    let variables = [("OPENMPSD__SERVER__SHUTDOWN_MS", "5"), ("DATABASE_URL", "postgres://u:hunter2@h/x")];
    let overrides = Overrides { config: Some(file.0.clone()), data_dir: Some("/data".into()), ..Overrides::default() };
    let explained = Settings::explain(overrides, &variables.iter().collect()).unwrap();
    let variable = |name: &str| Source::Variable(name.to_owned());
    assert_eq!(explained.source("server.workers"), Source::File(file.0.clone(), Some(3)));
    assert_eq!(explained.source("auth.keys"), Source::File(file.0.clone(), Some(7)));
    assert_eq!(explained.source("server.shutdown_ms"), variable("OPENMPSD__SERVER__SHUTDOWN_MS"));
    assert_eq!(explained.source("database.url"), variable("DATABASE_URL"));
    assert_eq!(explained.source("embedded.data_dir"), Source::Flag("--data-dir"));
    assert_eq!(explained.source("server.listen"), Source::Default);
    let path = file.0.display();
    let parts = format!("built-in defaults, {path} (3 keys), DATABASE_URL, OPENMPSD__SERVER__SHUTDOWN_MS, --data-dir");
    assert_eq!(explained.summary(), parts);
}

/// Every key is explained in default.toml (above), is shown, and is masked if its type says so.
#[test]
fn every_key_is_shown_and_no_secret_is() {
    let overrides = Overrides { data_dir: Some("/data".into()), ..Overrides::default() };
    let secrets = [
        ("OPENMPSD__DATABASE__URL", "postgres://u:hunter2@h/x"),
        ("OPENMPSD__DATABASE__MIGRATE_URL", "postgres://u:hunter2@h/x"),
        ("OPENMPSD__SOCIAL__SOURCE", "http"),
        ("OPENMPSD__SOCIAL__URL", "https://u:hunter2@h/x"),
        ("OPENMPSD__SOCIAL__BEARER", "hunter2"),
        ("OPENMPSD__ACCESS__BANNED_XUIDS", "18446744073709551615"),
    ];
    let explained = Settings::explain(overrides, &secrets.iter().collect()).unwrap();
    let entries = explained.entries().unwrap();
    let written = DEFAULTS.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert_eq!(entries.len(), written);
    let mut toml = String::new();
    for entry in &entries {
        assert!(!entry.value.is_null(), "{}.{} is not shown", entry.section, entry.name);
        toml.extend([format!("[{}]\n{}\n", entry.section, entry.line())]);
    }
    assert!(!toml.contains("hunter"), "{toml}");
    for line in ["url = \"postgres://u:***@h/x\"", "bearer = \"***\"", "banned_xuids = [\"18446744073709551615\"]"] {
        assert!(toml.contains(line), "{line} is missing in {toml}");
    }
    // A secret that is told from other texts by its type alone: every such field has to be read and shown as one.
    let sections = include_str!("sections.rs");
    let fields = sections.lines().zip(sections.lines().skip(1)).filter(|(_, field)| field.contains("SecretString>,"));
    for (attribute, field) in fields {
        assert!(attribute.contains("parse::secret") && attribute.contains("show::secret"), "{field}");
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let overrides = Overrides { data_dir: Some("/data".into()), ..Overrides::default() };
    let entries = Settings::explain(overrides, &Environment::default()).unwrap().entries().unwrap();
    let (mut text, mut section) = (String::new(), "");
    for entry in &entries {
        if entry.section != section {
            section = &entry.section;
            text.extend([format!("[{section}]\n")]);
        }
        text.extend([format!("{}\n", entry.line())]);
    }
    let file = Scratch::new("again", &text);
    let overrides = Overrides { config: Some(file.0.clone()), ..Overrides::default() };
    let again = Settings::explain(overrides, &Environment::default()).unwrap().entries().unwrap();
    let values = |entries: &[Entry]| entries.iter().map(|entry| entry.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&entries));
}
