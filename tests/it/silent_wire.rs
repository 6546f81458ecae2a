//! A database connection that is dead without a word: nothing comes, and nobody says that it is over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use openmpsd::ambient::{Clock, Ids};
use openmpsd::directory::Directory;
use openmpsd::domain::names::{Scid, SessionName, SessionReference};
use openmpsd::domain::principal::Principal;
use openmpsd::store::{LoadAsk, Store, StoreError, StoreOptions};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::harness::{Choices, SCID, World, player};

/// How many connections there may be. One that is given back at the moment of silence is lost to the pool: the driver tries it, and
/// waits.
const POOL: u32 = 8;

/// A wire to the database of which all that is open can fall silent.
struct Wire {
    folder: PathBuf,
    options: PgConnectOptions,
    silence: watch::Sender<u32>,
    closed: watch::Sender<bool>,
}

impl Wire {
    fn to(url: &str) -> Self {
        static WIRES: AtomicU32 = AtomicU32::new(0);
        let number = WIRES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("openmpsd-silent-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the socket");
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("the socket is ours");
        let server: PgConnectOptions = url.parse().expect("the URL is well-formed");
        let options = server.clone().socket(&folder).port(5432).ssl_mode(PgSslMode::Disable);
        let silence = watch::Sender::new(0);
        let silent = silence.clone();
        let closed = watch::Sender::new(false);
        let is_closed = closed.subscribe();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, mut falls_silent) = (server.clone(), silent.subscribe());
                falls_silent.mark_unchanged();
                if *is_closed.borrow() {
                    falls_silent.mark_changed();
                }
                tokio::spawn(async move {
                    let carried = async {
                        if let Some(socket) = server.get_socket() {
                            let path = socket.join(format!(".s.PGSQL.{}", server.get_port()));
                            let mut server = UnixStream::connect(path).await.expect("the server listens");
                            drop(copy_bidirectional(&mut client, &mut server).await);
                        } else {
                            let address = (server.get_host(), server.get_port());
                            let mut server = TcpStream::connect(address).await.expect("the server listens");
                            drop(copy_bidirectional(&mut client, &mut server).await);
                        }
                    };
                    tokio::select! {
                        () = carried => {}
                        // Held open, and nothing is carried any more.
                        _ = falls_silent.changed() => std::future::pending::<()>().await,
                    }
                });
            }
        });
        Self { folder, options, silence, closed }
    }

    /// Nothing carries anything any more, now or later.
    fn close(&self) {
        self.closed.send_replace(true);
        self.fall_silent();
    }

    /// What is open by now carries nothing any more.
    fn fall_silent(&self) {
        self.silence.send_modify(|times| *times += 1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_given_up_and_the_next_one_serves() {
    let world = World::new().await;
    let wire = Wire::to(world.database.url());
    let options = StoreOptions {
        connect: wire.options.clone(),
        pool_max: POOL,
        statement_timeout: Duration::from_millis(200),
        acquire_timeout: Duration::from_secs(5),
    };
    let store = Store::connect(options).await.expect("the database is there");
    let directory = Directory::start(store.clone(), Clock::system(), Ids::random(), Choices::default().options);
    directory.ready().await.expect("the catalog is read");
    let principal = Arc::new(Principal::User(player(1)));
    let reference = SessionReference {
        scid: Scid::parse(SCID).expect("a GUID"),
        template: openmpsd::domain::names::TemplateName::parse("Open").expect("a name"),
        name: SessionName::parse("quiet").expect("a name"),
    };
    directory.read(&reference, &principal).await.expect("all is well");
    let patience = Duration::from_secs(20);
    for _ in 0..2 {
        wire.fall_silent();
        let mut failures = 0;
        while timeout(patience, directory.read(&reference, &principal)).await.expect("it does not hang").is_err() {
            failures += 1;
            assert!(failures <= POOL, "no connection serves any more");
        }
        wire.fall_silent();
        let ping = async || timeout(patience, store.ping()).await.expect("readiness does not hang");
        let mut failures = 0;
        while ping().await.is_err() {
            failures += 1;
            assert!(failures <= POOL, "no connection serves any more");
        }
        wire.fall_silent();
        let asks = [LoadAsk::plain(reference.sid())];
        let load = async || timeout(patience, store.load_sessions(&asks, Clock::system().now())).await.expect("it does not hang");
        let mut failures = 0;
        while let Err(error) = load().await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            failures += 1;
            assert!(failures <= POOL, "no connection serves any more");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_service_whose_database_says_nothing_is_not_ready_and_can_end() {
    let world = World::new().await;
    let wire = Wire::to(world.database.url());
    let options = StoreOptions {
        connect: wire.options.clone(),
        pool_max: 2,
        statement_timeout: Duration::from_millis(200),
        acquire_timeout: Duration::from_millis(500),
    };
    let store = Store::connect(options).await.expect("the database is there");
    let beside = World::over(Arc::clone(&world.database), store, Clock::system(), Choices::default()).await;
    let nobody = beside.nobody();
    nobody.get("/health/ready").await.expect(200);
    wire.close();
    let patience = Duration::from_secs(20);
    let ready = timeout(patience, nobody.get("/health/ready")).await.expect("whoever asks is answered");
    ready.expect(503);
    timeout(patience, beside.running.stop()).await.expect("it ends all the same");
    world.end().await;
}
