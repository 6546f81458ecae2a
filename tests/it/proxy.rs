//! A wire between a store and PostgreSQL that breaks where it hurts: between a statement and its answer.
//!
//! It listens on a socket of its own and speaks just enough of the protocol to know where a statement ends, where its answer ends,
//! and whether it writes. The service under test knows nothing of it.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::chance::Chance;

/// The port in the socket's name.
const PORT: u16 = 5432;

/// What can happen to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It never arrives.
    Lost,
    /// It is committed, and nobody is told.
    Unanswered,
    /// The connection breaks while it runs.
    CutShort,
    /// The connection breaks, and it arrives all the same, later.
    Late,
    /// Its answer takes long.
    Slow,
}

/// The wire; it is cut when this is dropped.
pub struct Proxy {
    folder: PathBuf,
    options: PgConnectOptions,
    faults: Arc<Faults>,
    listening: JoinHandle<()>,
}

/// How often what goes wrong.
struct Faults {
    chance: Mutex<Chance>,
    /// Faults among a thousand writing statements.
    permille: AtomicU64,
    count: AtomicU64,
}

impl Faults {
    fn choose(&self, writes: bool) -> Option<Fault> {
        use Fault::{CutShort, Late, Lost, Slow, Unanswered};
        let permille = self.permille.load(Ordering::Relaxed);
        let mut chance = self.chance.lock().expect("choosing does not panic");
        // Reads fail without consequences: rarely is enough.
        if !chance.permille(if writes { permille } else { permille / 10 }) {
            return None;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(*chance.pick(&[Lost, Unanswered, Unanswered, CutShort, CutShort, Late, Slow, Slow]))
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.chance.lock().expect("choosing does not panic").below(20))
    }
}

impl Proxy {
    /// Starts a wire to the database of `url`, with so many faults among a thousand writing statements.
    pub fn start(url: &str, seed: u64, permille: u64) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("openmpsd-wire-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder for the socket");
        let listener = UnixListener::bind(folder.join(format!(".s.PGSQL.{PORT}"))).expect("the socket is ours");
        let config: tokio_postgres::Config = url.parse().expect("the URL is well-formed");
        let chance = Mutex::new(Chance::new(seed));
        let faults = Arc::new(Faults { chance, permille: AtomicU64::new(permille), count: AtomicU64::new(0) });
        let options: PgConnectOptions = url.parse().expect("the URL is well-formed");
        let listening = tokio::spawn(listen(listener, config, Arc::clone(&faults)));
        Self { options: options.socket(&folder).port(PORT).ssl_mode(PgSslMode::Disable), folder, faults, listening }
    }

    /// How to connect through the wire.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// From now on so many of a thousand writing statements go wrong.
    pub fn set_permille(&self, permille: u64) {
        self.faults.permille.store(permille, Ordering::Relaxed);
    }

    /// From now on everything arrives.
    pub fn mend(&self) {
        self.set_permille(0);
    }

    /// How many faults there were.
    pub fn fault_count(&self) -> u64 {
        self.faults.count.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn listen(listener: UnixListener, config: tokio_postgres::Config, faults: Arc<Faults>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (config, faults) = (config.clone(), Arc::clone(&faults));
        connections.spawn(async move {
            // A broken wire is the point.
            let _ = match connect(&config).await {
                Ok(Server::Unix(server)) => carry(client, server, &faults).await,
                Ok(Server::Tcp(server)) => carry(client, server, &faults).await,
                Err(error) => Err(error),
            };
        });
        while connections.try_join_next().is_some() {}
    }
}

enum Server {
    Unix(UnixStream),
    Tcp(TcpStream),
}

async fn connect(config: &tokio_postgres::Config) -> io::Result<Server> {
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Unix(folder)) => {
            UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.map(Server::Unix)
        }
        Some(tokio_postgres::config::Host::Tcp(host)) => TcpStream::connect((host.as_str(), port)).await.map(Server::Tcp),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Carries one connection until it ends or is broken.
async fn carry<S: AsyncRead + AsyncWrite + Unpin>(mut client: UnixStream, mut server: S, faults: &Faults) -> io::Result<()> {
    let mut statements = Statements::default();
    let (mut sent, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            count = client.read(&mut sent) => match count? {
                0 => return Ok(()),
                count => statements.take(&sent[..count]),
            },
            count = server.read(&mut answer) => match count? {
                0 => return Ok(()),
                count => client.write_all(&answer[..count]).await?,
            },
        }
        let Some(batch) = statements.complete() else { continue };
        match batch.writes.and_then(|writes| faults.choose(writes)) {
            None => server.write_all(&batch.bytes).await?,
            Some(Fault::Lost) => return Ok(()),
            Some(Fault::Unanswered) => {
                server.write_all(&batch.bytes).await?;
                return until_ready(&mut server).await;
            }
            Some(Fault::CutShort) => {
                server.write_all(&batch.bytes).await?;
                return server.flush().await;
            }
            Some(Fault::Late) => {
                drop(client);
                sleep(faults.delay()).await;
                server.write_all(&batch.bytes).await?;
                return until_ready(&mut server).await;
            }
            Some(Fault::Slow) => {
                server.write_all(&batch.bytes).await?;
                sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Swallows an answer, until the server is ready for the next statement.
async fn until_ready<S: AsyncRead + Unpin>(server: &mut S) -> io::Result<()> {
    let mut body = Vec::new();
    loop {
        let kind = server.read_u8().await?;
        let length = usize::try_from(server.read_u32().await?).expect("a length fits").saturating_sub(4);
        body.resize(length, 0);
        server.read_exact(&mut body).await?;
        if kind == b'Z' {
            return Ok(());
        }
    }
}

/// What a client sends, cut where the server begins to work.
#[derive(Default)]
struct Statements {
    started: bool,
    bytes: Vec<u8>,
    /// How far `bytes` has been looked at.
    seen: usize,
    /// Names of prepared statements that write.
    writing: HashSet<Vec<u8>>,
    /// Whether something is executed in this batch, and whether it writes.
    writes: Option<bool>,
    /// Where the batch ends, if it does.
    end: Option<usize>,
}

struct Batch {
    bytes: Vec<u8>,
    writes: Option<bool>,
}

impl Statements {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn complete(&mut self) -> Option<Batch> {
        while self.end.is_none() {
            let rest = &self.bytes[self.seen..];
            // The first message has no letter.
            let letter = usize::from(self.started);
            let length = rest.get(letter..letter + 4)?;
            let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
            let end = letter + usize::try_from(length).expect("a length fits");
            let message = rest.get(..end)?.to_vec();
            self.seen += end;
            if self.started {
                self.look(message[0], &message[5..]);
            } else {
                self.started = true;
                self.end = Some(self.seen);
            }
        }
        let end = self.end.take()?;
        self.seen -= end;
        Some(Batch { bytes: self.bytes.drain(..end).collect(), writes: self.writes.take() })
    }

    fn look(&mut self, letter: u8, body: &[u8]) {
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default();
        match letter {
            b'P' => {
                let (name, sql) = (text(), String::from_utf8_lossy(text()).into_owned());
                if ["insert into ", "update ", "delete from "].iter().any(|verb| sql.contains(verb)) {
                    self.writing.insert(name.to_vec());
                } else {
                    self.writing.remove(name);
                }
            }
            b'B' => {
                let (_, name) = (text(), text());
                self.writes = Some(self.writes.unwrap_or(false) | self.writing.contains(name));
            }
            b'S' | b'H' | b'Q' | b'X' | b'p' => self.end = Some(self.seen),
            _ => {}
        }
    }
}
