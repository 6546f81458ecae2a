//! What is measured: the release program over a private, durable cluster of its own, and the credentials for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use openmpsd::ambient::Clock;
use openmpsd::auth::{SigningKey, Terms};
use openmpsd::domain::names::Scid;
use openmpsd::domain::principal::{Principal, Server};
use openmpsd::embedded::{Connection, EmbeddedOptions, EmbeddedPostgres};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::dataset::{self, SCID};
use crate::requests::accepted;

/// How long the service may take to start, recovery of its database included.
const START: Duration = Duration::from_mins(2);

/// How long requests may take to end once whoever sent them is gone.
const REST: Duration = Duration::from_secs(30);
/// How far the two looks lie apart that both must find it at rest: what a worker has not read yet it reads meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// How many connections the database takes: the service's own, those of a generator, and ours.
const CONNECTIONS: u32 = 200;

/// The service that is measured. Dropped, it is killed; [`stop`](Rig::stop) ends it.
pub struct Rig {
    child: Child,
    /// `127.0.0.1:port`
    pub address: String,
    /// The data folder of its database.
    pub data_dir: PathBuf,
    postgres: EmbeddedPostgres,
    key: SigningKey,
}

impl Rig {
    /// Starts PostgreSQL over the cluster in a folder, which is made if it is not there, and the `openmpsd serve` beside this program
    /// over that. The cluster is what the service would run for itself, but for room for the generators' connections.
    ///
    /// # Errors
    /// What keeps it from starting, in its own words.
    pub async fn start(data_dir: &Path, shared_buffers_mb: u32) -> anyhow::Result<Self> {
        let program = beside_us("openmpsd")?;
        let extra = [
            ("shared_buffers", format!("{shared_buffers_mb}MB")),
            // Or the log would not show the parameters of a search.
            ("log_error_verbosity", "default".to_owned()),
        ];
        let postgres = EmbeddedPostgres::start(EmbeddedOptions {
            data_dir: data_dir.to_owned(),
            binaries: None,
            durable: true,
            max_connections: CONNECTIONS,
            extra: extra.map(|(name, value)| (name.to_owned(), value)).into(),
        });
        let postgres = postgres.await.context("PostgreSQL does not start")?;
        let service = data_dir.join("service");
        let mut command = Command::new(&program);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&service);
        command.arg("--services").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("services"));
        command.env("OPENMPSD__DATABASE__URL", postgres.connection().url());
        // A Ctrl-C is for us, who end it in order.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let log = data_dir.join("bench/service.log");
        let mut log = File::create(&log).await.with_context(|| format!("cannot write {}", log.display()))?;
        let mut said = String::new();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                said.push_str(&line);
                said.push('\n');
                if let Some((_, base)) = line.split_once("listens on http://") {
                    return base.split(['"', ' ']).next().map(str::to_owned);
                }
            }
            None
        };
        let address = timeout(START, listening).await.ok().flatten();
        log.write_all(said.as_bytes()).await?;
        let Some(address) = address else { bail!("{} did not start:\n{said}", program.display()) };
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = log.write_all(format!("{line}\n").as_bytes()).await;
            }
        });
        let key = SigningKey::open(&service).context("cannot open the signing key")?;
        Ok(Self { child, address, data_dir: data_dir.to_owned(), postgres, key })
    }

    /// Where its database is.
    pub fn connection(&self) -> &Connection {
        self.postgres.connection()
    }

    /// The header `Authorization` of a user.
    pub fn user(&self, xuid: u64) -> String {
        format!("XBL3.0 x=*;{}", self.token(&Principal::User(dataset::user(xuid))))
    }

    /// The header `Authorization` of a title's server.
    pub fn server(&self) -> String {
        let scid = Scid::parse(SCID).expect("it is a GUID");
        format!("Bearer {}", self.token(&Principal::Server(Server { name: "bench".to_owned(), scids: vec![scid] })))
    }

    /// The header `Authorization` of an administrator.
    pub fn admin(&self) -> String {
        format!("Bearer {}", self.token(&Principal::Admin { name: "bench".to_owned() }))
    }

    fn token(&self, principal: &Principal) -> String {
        let terms = Terms {
            issuer: "openmpsd".to_owned(),
            audience: "openmpsd".to_owned(),
            issued_at: Clock::system().real(),
            lifetime: Duration::from_hours(24),
        };
        self.key.issue(principal, &terms)
    }

    /// A connection to the database for what stands beside the measurements.
    pub async fn database(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect(&self.connection().url()).await.context("cannot reach the database")
    }

    /// Waits until the service has nothing in hand: wrk ends without waiting for its last answers, and the writes it asked for go on.
    ///
    /// # Errors
    /// When the service does not say, or does not come to rest.
    pub async fn at_rest(&self) -> anyhow::Result<()> {
        let url = format!("http://{}/metrics", self.address);
        let client = reqwest::Client::new();
        let looks = async {
            let mut idle = 0;
            while idle < 2 {
                let answer = accepted(client.get(&url).send().await?).await?;
                idle = if is_idle(&answer.text().await?)? { idle + 1 } else { 0 };
                sleep(LOOK).await;
            }
            anyhow::Ok(())
        };
        timeout(REST, looks).await.context("the service does not come to rest")?
    }

    /// Ends the service as an operator would.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id() {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM)?;
        }
        let status = timeout(START, self.child.wait()).await.context("the service does not end")??;
        self.postgres.stop().await;
        ensure!(status.success(), "the service ended with {status}");
        Ok(())
    }
}

/// Whether metrics tell of nothing but the request for them.
fn is_idle(metrics: &str) -> anyhow::Result<bool> {
    let value = |name| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|text| text.parse::<u64>().ok()).with_context(|| format!("the metrics do not tell {name}"))
    };
    Ok(value("openmpsd_http_requests_in_flight")? <= 1 && value("openmpsd_write_queue_length")? == 0)
}

/// A program that is built into the same folder as this one.
pub fn beside_us(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(program.exists(), "{} is not there: build it first, `cargo build --release -p openmpsd`", program.display());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(in_flight: u32, queued: u32) -> String {
        format!(
            "# TYPE openmpsd_http_requests_in_flight gauge\nopenmpsd_http_requests_in_flight {in_flight}\n\
            openmpsd_write_queue_length {queued}\n# EOF\n"
        )
    }

    #[test]
    fn only_who_asks_for_the_metrics_is_in_hand_at_rest() {
        for (in_flight, queued, idle) in [(1, 0, true), (2, 0, false), (1, 1, false)] {
            assert_eq!(is_idle(&metrics(in_flight, queued)).unwrap(), idle, "{in_flight} {queued}");
        }
        let said = is_idle("openmpsd_http_requests_in_flight 1\n").unwrap_err().to_string();
        assert_eq!(said, "the metrics do not tell openmpsd_write_queue_length");
    }
}
