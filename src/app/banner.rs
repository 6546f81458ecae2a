//! What is said once the service listens: what it is made of and where it is reached, for people as aligned lines, for collectors as
//! one event.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use tracing::info;

use crate::settings::LogFormat;
use crate::store::{ServerFacts, Store, StoreError, Vitals, migrate};

/// What a service that has just started is made of.
#[derive(Debug)]
pub(super) struct Banner {
    /// What the settings are made of.
    pub sources: String,
    /// Where the database is, without anything secret.
    pub database: String,
    pub server: ServerFacts,
    /// The migrations that were applied at this start.
    pub applied: Vec<String>,
    pub vitals: Vitals,
    /// Where the service configs were imported from.
    pub services: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether clients speak TLS with it.
    pub tls: bool,
}

/// What the database says for the banner.
pub(super) async fn ask(store: &Store, real_now: DateTime<Utc>) -> Result<(ServerFacts, Vitals), StoreError> {
    Ok((store.server().await?, store.vitals(real_now).await?))
}

/// Where a database is, for people: the embedded one by its folder, another by host and name.
pub(super) fn place(url: &str, private: Option<&Path>) -> String {
    if let Some(folder) = private {
        return format!("embedded in {}", folder.display());
    }
    match PgConnectOptions::from_str(url) {
        Ok(options) => {
            let host = options
                .get_socket()
                .map_or_else(|| format!("{}:{}", options.get_host(), options.get_port()), |folder| folder.display().to_string());
            format!("{host}/{}", options.get_database().unwrap_or_else(|| options.get_username()))
        }
        Err(_) => "database.url".to_owned(),
    }
}

impl Banner {
    /// Says it all.
    pub(super) fn show(&self, format: LogFormat) {
        match format {
            LogFormat::Pretty => eprint!("{}", self.text()),
            LogFormat::Json => info!(
                version = env!("CARGO_PKG_VERSION"),
                configuration = self.sources,
                database = self.database,
                database_version = self.server.version,
                schema = migrate::latest(),
                migrations_applied = self.applied.len(),
                service_configs = self.vitals.services,
                templates = self.vitals.templates,
                url = self.base("http"),
                "started"
            ),
        }
    }

    /// The lines for people, with a blank one before and after.
    fn text(&self) -> String {
        let lines = self.lines();
        let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let lines: Vec<String> = lines.iter().map(|(label, says)| format!("  {label:width$}   {says}\n")).collect();
        format!("\n  openmpsd {}\n\n{}\n", env!("CARGO_PKG_VERSION"), lines.concat())
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let schema = match (self.applied.first(), self.applied.last()) {
            (Some(first), Some(last)) if first != last => format!("{}, applied now: {first} to {last}", migrate::latest()),
            (Some(only), _) => format!("{}, applied now: {only}", migrate::latest()),
            _ => format!("{}, up to date", migrate::latest()),
        };
        let http = self.base("http");
        vec![
            ("configuration", self.sources.clone()),
            ("database", format!("{}, PostgreSQL {}", self.database, self.server.version)),
            ("schema", schema),
            (
                "services",
                format!(
                    "{} with {} from {}",
                    count(self.vitals.services, "service config"),
                    count(self.vitals.templates, "template"),
                    self.services
                ),
            ),
            ("API", http.clone()),
            ("socket", format!("{}/connect", self.base("ws"))),
            ("health", format!("{http}/health")),
            ("metrics", format!("{http}/metrics")),
            ("OpenAPI", format!("{http}/openapi.json")),
            ("reference", format!("{http}/docs")),
        ]
    }

    fn base(&self, scheme: &str) -> String {
        format!("{scheme}{}://{}", if self.tls { "s" } else { "" }, self.address)
    }
}

/// A number of things, the name of one given.
fn count(number: i64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner() -> Banner {
        Banner {
            sources: "built-in defaults, --data-dir".into(),
            database: "embedded in /data".into(),
            server: ServerFacts {
                version: "15.18".into(),
                major: 15,
                fsync: "on".into(),
                full_page_writes: "on".into(),
                synchronous_commit: "on".into(),
                max_connections: 36,
                standby: false,
            },
            applied: vec!["V001__sessions".into(), "V002__handles".into()],
            vitals: Vitals { services: 1, templates: 9, living: 1, silent: 0, overdue: 0, days_missing: Vec::new() },
            services: "config/services".into(),
            address: "[::1]:8080".parse().unwrap(),
            tls: false,
        }
    }

    #[test]
    fn it_stands_in_two_columns() {
        let text = banner().text();
        let rows: Vec<&str> = text.lines().filter(|line| !line.is_empty()).skip(1).collect();
        assert_eq!(rows.len(), 10);
        for row in &rows {
            assert!(row[..18].ends_with("   ") && !row[18..].starts_with(' '), "{row}");
        }
        assert!(text.contains("  services        1 service config with 9 templates from config/services\n"), "{text}");
        assert!(text.contains("applied now: V001__sessions to V002__handles\n"), "{text}");
        assert!(text.contains("ws://[::1]:8080/connect\n"), "{text}");
        assert!(Banner { tls: true, ..banner() }.text().contains("wss://[::1]:8080/connect\n"), "{text}");
        let again = Banner { applied: Vec::new(), ..banner() }.text();
        assert!(again.contains(&format!("  schema          {}, up to date\n", migrate::latest())), "{again}");
    }

    #[test]
    fn a_database_is_told_without_its_password() {
        let far = place("postgres://ada:hunter2@db.example:6432/mpsd?password=hunter3", None);
        assert_eq!(far, "db.example:6432/mpsd");
        assert_eq!(place("postgres:///mpsd?host=%2Frun%2Fpg", None), "/run/pg/mpsd");
        assert_eq!(place("", Some(Path::new("/data"))), "embedded in /data");
    }
}
