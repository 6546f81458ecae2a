//! What an operator should know about settings that are insecure or surprising: a sentence each, with the key and the remedy.

use std::net::IpAddr;
use std::path::Path;

use secrecy::ExposeSecret;

use crate::settings::Settings;

/// Something about a setting that should not stay so unnoticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key, or the flag.
    pub key: &'static str,
    /// What about it, and what to do.
    pub says: String,
}

/// Everything there is to say about these settings; `dev` when `--dev` is given.
#[must_use]
pub fn warnings(settings: &Settings, dev: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |key, says: String| warnings.push(Warning { key, says });
    let Settings { server, database, embedded, auth, social, throttle, telemetry, .. } = settings;
    let beyond_loopback = !server.listen.ip().to_canonical().is_loopback();

    if dev {
        warn(
            "--dev",
            "the clock can be moved and errors tell more than strangers should know: leave it out in earnest".to_owned(),
        );
    }
    if auth.keys.is_empty() {
        warn(
            "auth.keys",
            "tokens are signed with a generated key, good for development: list the public keys of whoever issues your tokens"
                .to_owned(),
        );
    }
    if beyond_loopback {
        let listen = server.listen;
        if server.tls_cert.is_none() {
            let says = format!(
                "{listen} is open to others without TLS: set server.tls_key too, or put a proxy in front that speaks TLS"
            );
            warn("server.tls_cert", says);
        }
        if !throttle.enabled {
            warn(
                "throttle.enabled",
                "nobody who calls too often is held back: switch the rate limits on (docs/limits.md)".to_owned(),
            );
        }
        if telemetry.metrics_bearer.is_none() {
            let says = format!("whoever reaches {listen} may read /metrics: set a token, or keep the path inside at the proxy");
            warn("telemetry.metrics_bearer", says);
        }
    }
    if let Some(host) = database.url.as_ref().and_then(|url| distant_host(url.expose_secret())) {
        warn(
            "database.url",
            format!("nothing between here and {host} is encrypted: let only a private network or a tunnel lie between"),
        );
    }
    if database.url.is_none() && is_swept(&embedded.data_dir) {
        let folder = embedded.data_dir.display();
        warn("embedded.data_dir", format!("{folder} is emptied by many systems when they start: name a folder that stays"));
    }
    let endpoint = social.url.as_ref().map(ExposeSecret::expose_secret).filter(|url| url.starts_with("http://"));
    if let Some(host) = endpoint.and_then(distant_host) {
        warn("social.url", format!("what is asked of {host}, and social.bearer, can be read on the way: use https://"));
    }
    warnings
}

/// The host a URL leads to, unless it is this machine.
fn distant_host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    // A host given as a parameter is a folder with a socket, or follows the same rules.
    let named = rest.split_once('?').and_then(|(_, query)| query.split('&').find_map(|pair| pair.strip_prefix("host=")));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let host = named.unwrap_or_else(|| place.split(['/', '?']).next().unwrap_or_default());
    let host = if host.starts_with('[') {
        host.split(']').next().unwrap_or_default().trim_start_matches('[')
    } else {
        host.split(':').next().unwrap_or_default()
    };
    let is_folder = host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    let is_here = host.is_empty() || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (!is_folder && !is_here).then(|| host.to_owned())
}

/// Whether a folder lies where systems tidy up by themselves.
fn is_swept(folder: &Path) -> bool {
    ["/tmp", "/var/tmp", "/dev/shm", "/run"].iter().any(|swept| folder.starts_with(swept))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::settings::Overrides;

    /// The keys that are warned about with these variables set, beside a data directory that stays.
    fn keys(variables: &[(&str, &str)], dev: bool) -> Vec<&'static str> {
        let overrides = Overrides { data_dir: Some("/var/lib/openmpsd".into()), ..Overrides::default() };
        let settings = Settings::load(overrides, &variables.iter().collect()).unwrap().settings;
        warnings(&settings, dev).into_iter().map(|warning| warning.key).collect()
    }

    const KEYS: (&str, &str) = ("OPENMPSD__AUTH__KEYS", "/etc/keys");
    const OPEN: (&str, &str) = ("OPENMPSD__SERVER__LISTEN", "0.0.0.0:8080");
    const LIMITS: (&str, &str) = ("OPENMPSD__THROTTLE__ENABLED", "true");
    const METRICS: (&str, &str) = ("OPENMPSD__TELEMETRY__METRICS_BEARER", "scrape-me");
    const CERT: (&str, &str) = ("OPENMPSD__SERVER__TLS_CERT", "/etc/tls/cert.pem");
    const KEY: (&str, &str) = ("OPENMPSD__SERVER__TLS_KEY", "/etc/tls/key.pem");
    const DATABASE: &str = "OPENMPSD__DATABASE__URL";

    #[rstest]
    #[case::first_run(&[], false, &["auth.keys"])]
    #[case::development(&[], true, &["--dev", "auth.keys"])]
    #[case::quiet(&[KEYS], false, &[])]
    #[case::open(&[KEYS, OPEN], false, &["server.tls_cert", "throttle.enabled", "telemetry.metrics_bearer"])]
    #[case::open_ipv6(&[KEYS, LIMITS, METRICS, ("OPENMPSD__SERVER__LISTEN", "[::]:8080")], false, &["server.tls_cert"])]
    #[case::open_with_tls(&[KEYS, OPEN, LIMITS, METRICS, CERT, KEY], false, &[])]
    #[case::loopback(&[KEYS, ("OPENMPSD__SERVER__LISTEN", "[::1]:8080")], false, &[])]
    #[case::near(&[KEYS, (DATABASE, "postgres://u:p@localhost:5432/x")], false, &[])]
    #[case::near_ipv6(&[KEYS, (DATABASE, "postgres://u:p@[::1]:5432/x")], false, &[])]
    #[case::socket(&[KEYS, (DATABASE, "postgres:///x?host=%2Frun%2Fpostgresql")], false, &[])]
    #[case::far(&[KEYS, (DATABASE, "postgres://u:p@db.example/x")], false, &["database.url"])]
    #[case::far_by_parameter(&[KEYS, (DATABASE, "postgres:///x?host=db.example")], false, &["database.url"])]
    #[case::social(&[KEYS, ("OPENMPSD__SOCIAL__SOURCE", "http"), ("OPENMPSD__SOCIAL__URL", "http://a.example/e")], false, &["social.url"])]
    #[case::social_tls(&[KEYS, ("OPENMPSD__SOCIAL__SOURCE", "http"), ("OPENMPSD__SOCIAL__URL", "https://a.example/e")], false, &[])]
    #[case::swept(&[KEYS, ("OPENMPSD__EMBEDDED__DATA_DIR", "/data")], false, &[])]
    fn what_is_insecure_is_said(#[case] variables: &[(&str, &str)], #[case] dev: bool, #[case] expected: &[&str]) {
        assert_eq!(keys(variables, dev), expected);
    }

    #[test]
    fn data_that_will_be_swept_away_is_said_and_no_password_is() {
        let load = |data_dir: &str, variables: &[(&str, &str)]| {
            let overrides = Overrides { data_dir: Some(data_dir.into()), ..Overrides::default() };
            warnings(&Settings::load(overrides, &variables.iter().collect()).unwrap().settings, false)
        };
        assert!(
            load("/tmp/data", &[]).iter().any(|warning| warning.key == "embedded.data_dir" && warning.says.contains("/tmp/data"))
        );
        let distant = load("/data", &[(DATABASE, "postgres://ada:hunter2@db.example:6432/x")]);
        let says: String = distant.iter().map(|warning| warning.says.as_str()).collect();
        assert!(says.contains("between here and db.example is") && !says.contains("hunter2"), "{says}");
    }
}
