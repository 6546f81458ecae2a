//! The command line: what can be typed, and what is refused before anything is sent.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use openmpsd::domain::names::{Scid, TitleId, is_name};

use crate::thresholds::Threshold;

/// What the exit codes mean; stands at the end of `--help`.
const EXIT_CODES: &str = "\
Nothing but the targets named here is ever contacted: redirects are not followed, proxies of the environment are not used.

Exit codes: 0 every threshold holds; 1 the run could not take place (a target cannot be reached, a credential is refused, a
report cannot be written); 2 the command line is wrong; 3 the run took place and a threshold does not hold.

Thresholds: METRIC[REQUEST]<VALUE or >VALUE, for example p99<50ms, p99[join]<80ms, errors<0.1%, throttled<1%, rate>500,
taps.p99<100ms, missed<1%, count[create]>1000. That nothing acknowledged was lost is a threshold that is always there.";

/// Load tests for openmpsd and whatever speaks its contract.
#[derive(Debug, Parser)]
#[command(name = "openmpsd-load", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    /// The base URL of a service to load; given several times, users are spread over them
    #[arg(long = "target", value_name = "URL", required = true, value_parser = Target::parse)]
    pub targets: Vec<Target>,
    /// What the users do
    #[arg(long, value_enum)]
    pub scenario: Scenario,
    /// How many users there are
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub users: u32,
    /// How long the users go on: 30s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span)]
    pub duration: Duration,
    /// How long it takes until all users have begun; part of the duration
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span)]
    pub ramp_up: Duration,
    /// Requests per second of all users together, sent on schedule whatever the answers take, and measured from when each was
    /// due; without it every user sends its next request when the last is answered
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// The service's data directory: tokens are made with its generated key
    #[arg(long, value_name = "DIR", required_unless_present = "tokens", conflicts_with = "tokens")]
    pub data_dir: Option<PathBuf>,
    /// A file with one user token a line, for a service with an issuer of its own
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// The claim iss of tokens made with --data-dir
    #[arg(long, value_name = "TEXT", default_value = "openmpsd")]
    pub issuer: String,
    /// The claim aud of tokens made with --data-dir
    #[arg(long, value_name = "TEXT", default_value = "openmpsd")]
    pub audience: String,
    /// The title the users play
    #[arg(long, value_name = "NUMBER", default_value = "1739200451", value_parser = TitleId::parse)]
    pub title_id: TitleId,
    /// The service config the sessions belong to
    #[arg(long, value_name = "GUID", default_value = "5f0c1a52-7c1e-4b52-9d0e-00007a11b0a7", value_parser = Scid::parse)]
    pub scid: Scid,
    /// The template of lobbies: at least 10 members, no connection required, members stay a while when inactive
    #[arg(long, value_name = "NAME", default_value = "Card", value_parser = name)]
    pub lobby_template: String,
    /// The template of sessions that are searched for
    #[arg(long, value_name = "NAME", default_value = "Open", value_parser = name)]
    pub listed_template: String,
    /// The template of the session that everybody joins
    #[arg(long, value_name = "NAME", default_value = "Open", value_parser = name)]
    pub crowd_template: String,
    /// Make the session that everybody joins a large one, of up to 10,000 members
    #[arg(long)]
    pub large: bool,
    /// A folder for report.json and report.html, made when missing
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// What must hold at the end; may be given several times
    #[arg(long = "threshold", value_name = "RULE", value_parser = Threshold::parse)]
    pub thresholds: Vec<Threshold>,
    /// Decides what the users choose; names of sessions and users are new in every run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub timeout: Duration,
    /// How often progress is told
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span)]
    pub progress: Duration,
}

impl Cli {
    /// What single arguments cannot say about each other.
    ///
    /// # Errors
    /// In words for the person who typed it.
    pub fn check(&self) -> Result<(), String> {
        if self.rate.is_some() && self.scenario == Scenario::ReconnectStampede {
            return Err("--rate has no meaning for reconnect-stampede, in which everybody comes at once: leave it out".to_owned());
        }
        if self.users < 2 && matches!(self.scenario, Scenario::InviteWave | Scenario::Mixed) {
            return Err("--users must be 2 or more, so that there is somebody to invite".to_owned());
        }
        if self.duration.is_zero() || self.timeout.is_zero() || self.progress.is_zero() {
            return Err("--duration, --timeout and --progress must be longer than nothing".to_owned());
        }
        if self.ramp_up >= self.duration {
            return Err("--ramp-up must be shorter than --duration, which it is a part of".to_owned());
        }
        Ok(())
    }
}

/// What users do; each has a file in `scenarios`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Lobbies are created, published, joined, changed, read and left
    LobbyChurn,
    /// Searches by filter with pages, queries by keyword and user, reads through handles
    BrowseStorm,
    /// Invites are sent, heard on sockets, found in inboxes, followed and taken back
    InviteWave,
    /// Everybody joins one session and leaves it again
    JoinStorm,
    /// Everybody's socket is cut at once, and everybody comes back at once
    ReconnectStampede,
    /// A bit of everything
    Mixed,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no scenario is hidden").get_name())
    }
}

/// Where a service is: scheme and authority, and a path that goes before every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Such as `http://127.0.0.1:8080`, without a slash at the end.
    pub base: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).map_err(|error| format!("{error}: a target is like http://127.0.0.1:8080"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("a target begins with http:// or https:// and names a host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("a target has neither user, password, query nor fragment".to_owned());
        }
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// The same place for sockets.
    pub fn socket(&self) -> String {
        format!("{}/connect", self.base.replacen("http", "ws", 1))
    }
}

/// Reads a span of time: `250ms`, `30s`, `5m`, `1h`.
pub fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u32 = digits.parse().map_err(|_| "a time is a whole number with a unit: 250ms, 30s, 5m or 1h".to_owned())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(count.into())),
        "s" => Ok(Duration::from_secs(count.into())),
        "m" if count < 100_000 => Ok(Duration::from_mins(count.into())),
        "h" if count < 10_000 => Ok(Duration::from_hours(count.into())),
        "m" | "h" => Err("must be less than 10000h".to_owned()),
        _ => Err("a time has a unit: 250ms, 30s, 5m or 1h".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a rate is a number of requests per second".to_owned())?;
    if rate.is_finite() && (0.001..=1_000_000.0).contains(&rate) { Ok(rate) } else { Err("must be 0.001 to 1000000".to_owned()) }
}

fn name(text: &str) -> Result<String, String> {
    let says = "a template's name is 1 to 100 characters of A-Z a-z 0-9 - _ . ( ), the first a letter or digit";
    if is_name(text) { Ok(text.to_owned()) } else { Err(says.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        let cli = Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        cli.check().map(|()| cli)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_target_is_what_is_named_and_nothing_else() {
        let cli = parse("x --target http://h:1/a/ --target https://[::1] --scenario mixed --data-dir /d --large").unwrap();
        let bases: Vec<&str> = cli.targets.iter().map(|target| target.base.as_str()).collect();
        assert_eq!(bases, ["http://h:1/a", "https://[::1]"]);
        assert_eq!(
            (cli.targets[0].socket(), cli.targets[1].socket()),
            ("ws://h:1/a/connect".into(), "wss://[::1]/connect".into())
        );
        assert!(cli.large && cli.rate.is_none() && cli.users == 50);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, names) in [
            ("x --scenario mixed --data-dir /d", "--target"),
            ("x --target http://h --data-dir /d", "--scenario"),
            ("x --target http://h --scenario mixed", "--data-dir"),
            ("x --target http://h --scenario mixed --data-dir /d --tokens f", "--tokens"),
            ("x --target ftp://h --scenario mixed --data-dir /d", "http://"),
            ("x --target http://a:b@h --scenario mixed --data-dir /d", "password"),
            ("x --target h --scenario mixed --data-dir /d", "127.0.0.1:8080"),
            ("x --target http://h --scenario mixed --data-dir /d --users 0", "--users"),
            ("x --target http://h --scenario invite-wave --data-dir /d --users 1", "--users"),
            ("x --target http://h --scenario mixed --data-dir /d --rate NaN", "--rate"),
            ("x --target http://h --scenario mixed --data-dir /d --threshold p98<1ms", "--threshold"),
            ("x --target http://h --scenario mixed --data-dir /d --duration 5", "--duration"),
            ("x --target http://h --scenario mixed --data-dir /d --duration 5s --ramp-up 5s", "--ramp-up"),
            ("x --target http://h --scenario mixed --data-dir /d --duration 0s", "--duration"),
            ("x --target http://h --scenario reconnect-stampede --data-dir /d --rate 5", "--rate"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(names), "{line}: {error}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(span("2h"), Ok(Duration::from_hours(2)));
        for wrong in ["", "s", "5", "5x", "-1s", "1.5s", "99999999999s", "10000h"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
