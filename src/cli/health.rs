//! `openmpsd health`: asks a running service whether it is well; for containers, which have no curl.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use reqwest::Url;

use super::Exit;
use super::database::{SettingsArguments, wait_for};
use crate::settings::Settings;

/// How long an answer may take: whoever asks has a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(3);

/// What can be typed after `openmpsd health`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the service is [default: as server.listen says]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Ask whether it can answer requests, not only whether it runs
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    settings: SettingsArguments,
}

/// What a service said of itself.
pub struct Answer {
    /// Whether it is well.
    pub well: bool,
    /// In its words.
    pub says: String,
}

/// Prints what the service says; exit code 1 when it is not well, or does not answer.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { url, ready, settings } = arguments;
    let place = if let Some(url) = url {
        Place::named(url)
    } else {
        let settings = settings.load()?;
        ensure!(settings.server.listen.port() != 0, "server.listen names no port: say where the service is with --url");
        Place::own(&settings)?
    };
    let answer = wait_for(ask(&place, ready))?;
    writeln!(io::stdout(), "{}", answer.says).context("cannot print the answer")?;
    if answer.well { Ok(()) } else { Err(Exit(1).into()) }
}

/// Where a service is.
pub struct Place {
    base: Url,
    /// Whether it is on this machine: nobody can come between there, and a certificate rarely names the address.
    is_here: bool,
}

impl Place {
    fn named(base: Url) -> Self {
        Self { is_here: is_here(&base), base }
    }

    /// Where the service of these settings is reached from its own machine.
    ///
    /// # Errors
    /// When `server.listen` makes no URL.
    pub fn own(settings: &Settings) -> anyhow::Result<Self> {
        let scheme = if settings.server.tls_cert.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", reachable(settings.server.listen)).parse().context("server.listen makes no URL")?;
        Ok(Self { base, is_here: true })
    }
}

/// Asks a service how it is.
///
/// # Errors
/// When there is no answer in time.
pub async fn ask(place: &Place, ready: bool) -> anyhow::Result<Answer> {
    let path = if ready { "health/ready" } else { "health" };
    let url = format!("{}/{path}", place.base.as_str().trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().danger_accept_invalid_certs(place.is_here).build()?;
    let failed = || format!("no answer from {url}");
    let response = client.get(&url).send().await.with_context(failed)?;
    let well = response.status().is_success();
    Ok(Answer { well, says: response.text().await.with_context(failed)? })
}

/// Where a service that listens on an address is reached from its own machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::settings::Overrides;

    #[rstest]
    #[case("0.0.0.0:8080", "127.0.0.1:8080")]
    #[case("[::]:8080", "[::1]:8080")]
    #[case("192.0.2.1:80", "192.0.2.1:80")]
    fn a_service_on_every_address_is_asked_on_loopback(#[case] listen: &str, #[case] asked: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
    }

    #[test]
    fn the_service_of_ones_own_settings_is_here_wherever_it_listens() {
        let variables = [
            ("OPENMPSD__SERVER__LISTEN", "192.0.2.1:443"),
            ("OPENMPSD__SERVER__TLS_CERT", "c"),
            ("OPENMPSD__SERVER__TLS_KEY", "k"),
        ];
        let overrides = Overrides { data_dir: Some("/nowhere".into()), ..Overrides::default() };
        let own = Place::own(&Settings::load(overrides, &variables.iter().collect()).unwrap().settings).unwrap();
        assert_eq!((own.base.as_str(), own.is_here), ("https://192.0.2.1/", true));
        assert!(!Place::named(own.base).is_here);
    }

    #[rstest]
    #[case("https://127.0.0.1:8080", true)]
    #[case("https://[::1]:8080/", true)]
    #[case("https://localhost", true)]
    #[case("https://127.0.0.1.example", false)]
    #[case("https://192.0.2.1", false)]
    fn certificates_are_taken_on_trust_on_this_machine_only(#[case] url: &str, #[case] here: bool) {
        assert_eq!(is_here(&url.parse().unwrap()), here);
    }
}
