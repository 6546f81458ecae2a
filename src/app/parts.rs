//! The rooms put together over a database that is there: what answers requests, and how it ends.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::tls::Certificate;
use crate::ambient::{Clock, Ids};
use crate::auth::Verifier;
use crate::directory::{self, Directory};
use crate::http::{self, Draining, Feeds, Rules, Service, Throttle};
use crate::notify::{self, Notifier};
use crate::rta;
use crate::social;
use crate::store::Store;

/// How many connections may wait to be accepted; the system's own limit (net.core.somaxconn) stands above it.
const BACKLOG: i32 = 4096;

/// How many TLS handshakes of one worker may be under way: clients that begin one and stall must not keep others out for long.
const HANDSHAKES_MAX: usize = 16_384;
/// How long connections to the database may take to close, beyond what requests under way may take.
const CLOSING: Duration = Duration::from_secs(2);

/// What a service is made of once it has a database.
pub struct Parts {
    /// The database, migrated.
    pub store: Store,
    /// Both clocks.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// Who callers are.
    pub verifier: Verifier,
    /// Where it is known who follows and blocks whom.
    pub social: social::Source,
    /// How the directory works.
    pub options: directory::Options,
    /// What the installation decides about requests.
    pub rules: Rules,
    /// And about sockets.
    pub sockets: rta::Options,
    /// Where requests come in.
    pub seat: Seat,
    /// What TLS is served with, if it is.
    pub certificate: Option<Arc<Certificate>>,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// How many of them read for themselves, over connections of their own; the others share what reads for all.
    pub readers: usize,
    /// How many queries each of those has under way at a time, over further connections of its own; 0: all queries share those of all.
    pub queries_each: u32,
    /// How long the service answers on at shutdown, not ready any more, before it stops listening.
    pub drain: Duration,
    /// How long running requests may take after that.
    pub shutdown: Duration,
    /// How long a request's head may take, and how long an idle connection is kept.
    pub head_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How often it is compared with the database what sockets were told.
    pub reconcile: Duration,
    /// Whether no other instance can be on the database.
    pub alone: bool,
    /// After which time a write has certainly been committed, or has failed.
    pub straggle: Duration,
}

/// A service that answers requests.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The use cases.
    pub directory: Arc<Directory>,
    /// Who listens to what.
    pub notifier: Notifier,
    /// Says that the service is about to end.
    draining: Draining,
    drain: Duration,
    shutdown: Duration,
    /// Says to what never ends by itself that the service ends.
    ending: watch::Sender<bool>,
    server: ServerHandle,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Parts {
    /// Starts answering requests. Must be called inside the runtime that the directory shall live in.
    ///
    /// # Errors
    /// When the catalog cannot be loaded or the address is taken.
    pub async fn start(self) -> anyhow::Result<Running> {
        let social = social::open(self.social, &self.store, &self.clock).context("social.url is no URL")?;
        let ending = watch::Sender::new(false);
        let draining = Draining::default();
        let directory = Arc::new(Directory::start(self.store, self.clock.clone(), self.ids, self.options));
        directory.ready().await.context("failed to load the service configs")?;
        let listener = self.seat.listen()?;
        let address = listener.local_addr()?;
        // Accepted connections inherit it: a client that takes nothing must not hold a connection for ever, however alive it is.
        let stall = Some(self.sockets.idle);
        SockRef::from(&listener).set_tcp_user_timeout(stall).context("failed to bound how long clients may stall")?;
        let notify =
            notify::Options { reconcile: self.reconcile, place: place(address), alone: self.alone, straggle: self.straggle };
        let notifier = Notifier::start(&directory, notify).await.context("failed to join other instances")?;
        let service = web::Data::new(Service {
            directory: Arc::clone(&directory),
            verifier: self.verifier,
            social,
            clock: self.clock,
            runtime: Handle::current(),
            hub: Arc::clone(notifier.hub()),
            feeds: Feeds::new(&self.rules.feeds, ending.subscribe()),
            throttle: Throttle::new(self.rules.throttle.entries_max),
            rules: self.rules,
            sockets: self.sockets,
            draining: draining.clone(),
        });
        let (reading, begun) = (Arc::clone(&directory), Arc::new(AtomicUsize::new(0)));
        let shared = reading.shared_reader();
        let mut server = HttpServer::new(move || {
            // This runs once on each worker's own thread.
            let own = begun.fetch_add(1, Ordering::Relaxed) < self.readers;
            let reader = if own { reading.reader(self.queries_each) } else { shared.clone() };
            let app =
                App::new().wrap(from_fn(http::mind_the_connection)).app_data(service.clone()).app_data(web::Data::new(reader));
            app.configure(http::configure)
        })
        .disable_signals()
        .keep_alive(self.keep_alive)
        .client_request_timeout(self.head_timeout)
        .tls_handshake_timeout(self.head_timeout)
        .max_connection_rate(HANDSHAKES_MAX)
        .shutdown_timeout(self.shutdown.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        if self.workers > 0 {
            server = server.workers(self.workers);
        }
        let server = match self.certificate {
            Some(certificate) => server.listen_rustls_0_23(listener, certificate.config()?)?,
            None => server.listen(listener)?,
        };
        let server = server.run();
        let handle = server.handle();
        Ok(Running {
            address,
            directory,
            notifier,
            draining,
            drain: self.drain,
            shutdown: self.shutdown,
            ending,
            server: handle,
            served: tokio::spawn(server),
        })
    }
}

impl Running {
    /// Answers on for a while, but is not ready any more, so that balancers send nothing new. Everything else goes on meanwhile.
    pub async fn drain(&self) {
        self.draining.begin();
        if !self.drain.is_zero() {
            info!("draining for {} ms", self.drain.as_millis());
            sleep(self.drain).await;
        }
    }

    /// Stops accepting, closes sockets and feeds, lets running requests finish, and closes the pool.
    pub async fn stop(self) {
        self.draining.begin();
        self.ending.send_replace(true);
        self.notifier.hub().close_all();
        self.server.stop(true).await;
        if let Ok(Err(error)) = self.served.await {
            error!(%error, "the server did not end well");
        }
        self.notifier.stop().await;
        // A database that says nothing keeps its connections, and must not keep the process.
        if timeout(self.shutdown + CLOSING, self.directory.store().close()).await.is_err() {
            warn!("the database does not answer: leaving its connections as they are");
        }
    }
}

/// An address that is taken, where nobody is answered yet: whoever comes is refused, as if nothing were there.
#[derive(Debug)]
pub struct Seat {
    socket: Socket,
    address: SocketAddr,
}

impl Seat {
    /// Takes an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When another program has it, or it is none of this machine, with what to do.
    pub fn take(address: SocketAddr) -> anyhow::Result<Self> {
        let take = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // As the standard library does: a restart must not wait for connections of before.
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            Ok(socket)
        };
        let socket = take().map_err(|error| unusable(address, &error))?;
        Ok(Self { socket, address })
    }

    /// Listens with room for as many connections as may come at once when clients of another instance, or of this one before, come back.
    /// The standard library leaves room for 128 only, and whoever finds none tries again after a second.
    fn listen(self) -> anyhow::Result<TcpListener> {
        // Accepted connections inherit it: a tap behind another one must not wait until the client has acknowledged that.
        let listening = self.socket.set_tcp_nodelay(true).and_then(|()| self.socket.listen(BACKLOG));
        listening.map_err(|error| unusable(self.address, &error))?;
        Ok(self.socket.into())
    }
}

/// Why an address cannot be listened on, and what to do.
fn unusable(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => "another program has it: end that one, or choose another address with --listen or server.listen",
        ErrorKind::PermissionDenied => "take a port above 1023, or let a proxy have the small one",
        ErrorKind::AddrNotAvailable => "this machine has no such address: take one of its own, or 0.0.0.0 for all of them",
        _ => "choose another address with --listen or server.listen",
    };
    anyhow::anyhow!("failed to listen on {address}: {error}: {remedy}")
}

/// What only one process at a time can hold: its listening address in the network of a running machine. A process that finds itself
/// there knows that whoever was there before is gone.
fn place(address: SocketAddr) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let network = std::fs::read_link("/proc/self/ns/net").ok()?;
    Some(format!("{}/{}/{address}", boot.trim(), network.display()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn accepted_connections_send_without_delay() {
        let listening = Seat::take(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap().listen().unwrap();
        let _client = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
        let (accepted, _) = listening.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn an_address_that_is_taken_is_noticed_with_a_way_out() {
        let first = Seat::take(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap().listen().unwrap();
        let error = Seat::take(first.local_addr().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("failed to listen on 127.0.0.1:") && error.contains("another program has it"), "{error}");
    }
}
