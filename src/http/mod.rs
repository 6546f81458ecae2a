//! HTTP: from a request to one call on the directory, and back.
//!
//! Every request goes through [`dispatch`], which makes the checks in the order of E-10: credential, throttle, route and verb,
//! contract version, path. Then one short function per route, in the file of its group, reads what the route takes and calls the directory.
//! Sessions are rendered last, in one place, for the contract version of the request. A socket is opened here, too, and handed on.
//! What is *not* here: rules about sessions, SQL, and what is said on sockets.

mod acting;
mod admin;
mod allowance;
mod audit;
mod connect;
mod elements;
mod error;
mod extract;
mod feed;
mod handles;
mod observe;
pub mod openapi;
mod operations;
mod parameters;
mod queries;
mod reply;
pub(crate) mod route;
mod sessions;
mod social;
mod throttle;
mod unread;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::ambient::Clock;
use crate::auth::Verifier;
use crate::directory::{Directory, Reader};
use crate::domain::names::Xuid;
use crate::domain::principal::Principal;
use crate::notify::Hub;
use crate::rta;
use crate::social::Social;

use error::ApiError;
pub use feed::{FeedRules, Feeds};
use observe::{Observed, say_goodbye};
pub use operations::Draining;
use reply::Reply;
use route::Route;
pub use throttle::{Throttle, ThrottleRules};
use unread::Held;

/// What the handlers share.
pub struct Service {
    /// The use cases.
    pub directory: Arc<Directory>,
    /// Who callers are.
    pub verifier: Verifier,
    /// Whom users follow and block.
    pub social: Arc<dyn Social>,
    /// Both clocks.
    pub clock: Clock,
    /// The runtime the directory lives in: whatever awaits the database runs there.
    pub runtime: Handle,
    /// Who listens to what.
    pub hub: Arc<Hub>,
    /// Open change feeds.
    pub feeds: Feeds,
    /// Who called how often (W-80).
    pub throttle: Throttle,
    /// What the installation decides.
    pub rules: Rules,
    /// And about sockets.
    pub sockets: rta::Options,
    /// Whether the service is about to end.
    pub draining: Draining,
}

/// The installation's part in answering requests.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The largest body, in bytes (S-95).
    pub body_bytes: usize,
    /// The largest import of the social graph, in bytes.
    pub import_bytes: usize,
    /// How deep JSON may nest (S-95).
    pub json_depth: usize,
    /// The headers of a request, names and values, in bytes.
    pub header_bytes: usize,
    /// How long things may take.
    pub patience: Patience,
    /// Whether spans are sent to a collector.
    pub exports_spans: bool,
    /// Whether requests may belong to traces that their callers began.
    pub joins_traces: bool,
    /// What whoever reads the metrics has to bring, if anything.
    pub metrics_bearer: Option<SecretString>,
    /// Users who are refused everything, beside those whom administrators ban.
    pub banned: Vec<u64>,
    /// How many change feeds may be open, and their pace.
    pub feeds: FeedRules,
    /// How often users may call (W-80).
    pub throttle: ThrottleRules,
    /// Whether the development clock can be moved.
    pub dev: bool,
}

/// How long the service waits for requests to come and to be answered.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a request, from its head until its answer begins; imports may take longer.
    pub request: Duration,
    /// For the next part of a body.
    pub body: Duration,
    /// After which an answered request is told as slow; zero means never.
    pub slow: Duration,
}

impl Service {
    /// Refuses banned users, whether they call themselves or a server acts for them.
    fn admit(&self, principal: &Principal) -> Result<(), ApiError> {
        if principal.users().iter().any(|user| self.bans(user.xuid)) {
            return Err(ApiError::Forbidden("the caller is banned from this service"));
        }
        Ok(())
    }

    /// Whether a user is banned, by the settings or by an administrator.
    fn bans(&self, xuid: Xuid) -> bool {
        self.rules.banned.contains(&xuid.0) || self.directory.bans().hold(xuid, self.clock.real())
    }
}

type Answer = Result<Reply, ApiError>;

/// One request after the checks that all routes share.
struct Call<'a> {
    service: &'a web::Data<Service>,
    /// What reads on this thread.
    reader: &'a Reader,
    request: &'a HttpRequest,
    payload: web::Payload,
    principal: Arc<Principal>,
    /// The contract version's minor number; 0 on administrative routes, which have none.
    minor: u32,
}

impl Service {
    /// Runs a use case in the directory's runtime and waits for it there.
    async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.spawn(work.in_current_span()).await.expect("use cases do not panic and are not aborted")
    }

    /// Brings up to date what is known about whom users follow and block, before anything is decided by it.
    async fn know(&self, xuids: &[Xuid]) {
        if let Some(work) = self.social.refresh(xuids) {
            self.run(work).await;
        }
    }
}

/// Runs a use case on this thread and waits for it there. It goes on when the caller goes away, or its connection to the database would
/// come back in the middle of an answer.
async fn run_here<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work.in_current_span()).await.expect("use cases do not panic and are not aborted")
}

/// Makes every path go through [`dispatch`], but for what operators ask and the description of what is answered.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(readable("/health").route(web::get().to(operations::live)).route(web::head().to(operations::live)));
    let ready = readable("/health/ready").route(web::get().to(operations::ready));
    config.service(ready.route(web::head().to(operations::ready)));
    config.service(readable("/metrics").route(web::get().to(operations::metrics)));
    config.configure(openapi::page::configure).default_service(web::to(dispatch));
}

/// A path of its own that can only be read: other verbs are answered as everywhere.
fn readable(path: &str) -> Resource {
    web::resource(path).default_service(web::to(async || ApiError::WrongVerb(&[Method::GET]).answer().render(0)))
}

/// Closes connections after their answer where they should not go on: those whose request has a body of unknown length that was not read
/// to its end, and all of them when the service is about to end.
///
/// # Errors
/// Whatever comes from within.
pub async fn mind_the_connection(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let held = Held::of(&mut request);
    let mut response = next.call(request).await?.map_into_boxed_body();
    if let Some(held) = held {
        response = response.map_body(|_, body| held.held_by(body));
    }
    let service = response.request().app_data::<web::Data<Service>>();
    if service.is_some_and(|service| service.draining.has_begun()) {
        say_goodbye(response.response_mut().head_mut());
    }
    Ok(response)
}

/// Answers a request.
async fn dispatch(
    service: web::Data<Service>,
    reader: web::Data<Reader>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let route = Route::find(request.path());
    let caller = identify(&service, &request, route.as_ref());
    let known = caller.as_ref().ok().map(|(own, acting)| &**acting.as_ref().unwrap_or(own));
    let observed = Observed::begin(&service, request.method(), route.as_ref(), request.headers(), known);
    // An import is as long as it is.
    let takes_its_time = route == Some(Route::Edges);
    let version = extract::contract_minor(request.headers());
    // Before the version is known to be sound nothing is answered that depends on it.
    let minor = *version.as_ref().unwrap_or(&0);
    let answering = answer((&service, &reader), &request, payload, (caller, route), version).instrument(observed.span().clone());
    let answered = if takes_its_time {
        answering.await
    } else {
        timeout(service.rules.patience.request, answering).await.unwrap_or(Err(ApiError::Late))
    };
    let mut answer = observed.span().in_scope(|| answered.unwrap_or_else(ApiError::answer).render(minor));
    allowance::show(&service, &request, &mut answer);
    observed.end(&mut answer, service.rules.patience.slow);
    answer
}

/// Whose credential a request has, and as whom it acts then.
type Caller = Result<(Arc<Principal>, Result<Arc<Principal>, ApiError>), ApiError>;

/// Finds out who calls. Administration knows nobody who acts for others; sockets look for themselves.
fn identify(service: &Service, request: &HttpRequest, route: Option<&Route>) -> Caller {
    let credential = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let own = service.verifier.verify(credential, service.clock.real())?;
    let acts = !route.is_some_and(Route::is_administrative);
    let acting = if acts { acting::principal(Arc::clone(&own), request.headers()) } else { Ok(Arc::clone(&own)) };
    Ok((own, acting))
}

async fn answer(
    (service, reader): (&web::Data<Service>, &Reader),
    request: &HttpRequest,
    payload: web::Payload,
    (caller, route): (Caller, Option<Route>),
    version: Result<u32, ApiError>,
) -> Answer {
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > service.rules.header_bytes {
        return Err(ApiError::HeadersTooLarge(service.rules.header_bytes));
    }
    if let Some(route) = route.as_ref().filter(|route| route.leads_to_socket()) {
        return connect::answer(service, request, payload, route).await;
    }
    let (principal, acting) = caller?;
    service.admit(&principal)?;
    allowance::admit(service, request, &principal, route.as_ref())?;
    let route = route.ok_or_else(|| ApiError::NotFound("there is no such path".to_owned()))?;
    if !route.verbs().contains(request.method()) {
        return Err(ApiError::WrongVerb(route.verbs()));
    }
    let (principal, minor) = if route.is_administrative() {
        if !matches!(*principal, Principal::Admin { .. }) {
            return Err(ApiError::Forbidden("administration needs an administrator's token"));
        }
        (principal, 0)
    } else {
        let minor = version?;
        let principal = acting?;
        service.admit(&principal)?;
        if matches!(*principal, Principal::ServerFor(_)) {
            allowance::admit(service, request, &principal, Some(&route))?;
        }
        (principal, minor)
    };
    if route.asks_for_edges() {
        let users: Vec<Xuid> = principal.users().iter().map(|user| user.xuid).collect();
        service.know(&users).await;
    }
    let call = Call { service, reader, request, payload, principal, minor };
    match (route, request.method()) {
        (Route::Session(path), &Method::GET) => sessions::read(call, &path).await,
        (Route::Session(path), _) => sessions::write(call, &path).await,
        (Route::Changes(path), _) => feed::changes(call, &path).await,
        (Route::Element(path, part), &Method::GET) => elements::read(call, &path, &part).await,
        (Route::Element(path, part), &Method::PUT) => elements::write(call, &path, &part).await,
        (Route::Element(path, part), _) => elements::delete(call, &path, &part).await,
        (Route::Templates(scid), _) => queries::templates(&call, &scid),
        (Route::Template(scid, name), _) => queries::template(&call, &scid, &name),
        (Route::Sessions(scid, template), _) => queries::sessions(call, &scid, template.as_deref()).await,
        (Route::Batch(scid, template), _) => queries::batch(call, &scid, template.as_deref()).await,
        (Route::Handles, _) => handles::create(call).await,
        (Route::HandlesQuery, _) => handles::query(call).await,
        (Route::Handle(id), &Method::GET) => handles::read(call, &id).await,
        (Route::Handle(id), _) => handles::delete(call, &id).await,
        (Route::HandleSession(id), &Method::GET) => handles::read_session(call, &id).await,
        (Route::HandleSession(id), _) => handles::write_session(call, &id).await,
        (Route::Invites, _) => handles::invites(call).await,
        (Route::Invite(id), _) => handles::delete_invite(call, &id).await,
        (Route::Edge(kind, xuid, other), _) => social::edge(call, kind, &xuid, &other).await,
        (Route::Edges, &Method::GET) => social::export(call).await,
        (Route::Edges, _) => social::import(call).await,
        (Route::DevClock, _) => admin::advance_clock(call).await,
        (Route::AdminSessions, _) => admin::sessions::list(call).await,
        (Route::AdminSession(path), &Method::GET) => admin::sessions::read(call, &path).await,
        (Route::AdminSession(path), _) => admin::sessions::close(call, &path).await,
        (Route::AdminMember(path, index), _) => admin::sessions::remove_member(call, &path, &index).await,
        (Route::AdminHandles, _) => admin::handles::list(call).await,
        (Route::Bans, _) => admin::bans::list(call).await,
        (Route::Ban(xuid), &Method::GET) => admin::bans::read(call, &xuid).await,
        (Route::Ban(xuid), &Method::PUT) => admin::bans::put(call, &xuid).await,
        (Route::Ban(xuid), _) => admin::bans::delete(call, &xuid).await,
        (Route::Audit, _) => audit::list(call).await,
        (Route::AdminServices, _) => admin::catalog::list(&call),
        (Route::AdminService(scid), _) => admin::catalog::put_service(call, &scid).await,
        (Route::AdminTemplate(scid, name), &Method::GET) => admin::catalog::read_template(&call, &scid, &name),
        (Route::AdminTemplate(scid, name), _) => admin::catalog::put_template(call, &scid, &name).await,
        (Route::Connect | Route::Nonce, _) => unreachable!("sockets have been dealt with"),
    }
}
