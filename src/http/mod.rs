//! HTTP: from a request to one call on the directory, and back.
//!
//! Every request goes through [`dispatch`], which makes the checks in the order of E-10: credential, route and verb, contract
//! version, path. Then one short function per route, in the file of its group, reads what the route takes and calls the directory.
//! Sessions are rendered last, in one place, for the contract version of the request. A socket is opened here, too, and handed on.
//! What is *not* here: rules about sessions, SQL, and what is said on sockets.

mod acting;
mod admin;
mod connect;
mod elements;
mod error;
mod extract;
mod feed;
mod handles;
pub mod openapi;
mod queries;
mod reply;
mod route;
mod sessions;
mod social;

use std::future::Future;
use std::sync::Arc;

use actix_web::http::header::AUTHORIZATION;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use tokio::runtime::Handle;

use crate::ambient::Clock;
use crate::auth::Verifier;
use crate::directory::Directory;
use crate::domain::names::Xuid;
use crate::domain::principal::Principal;
use crate::notify::Hub;
use crate::rta;
use crate::social::Social;

use error::ApiError;
pub use feed::{FeedRules, Feeds};
use reply::Reply;
use route::Route;

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
    /// What the installation decides.
    pub rules: Rules,
    /// And about sockets.
    pub sockets: rta::Options,
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
    /// Users who are refused everything (A-43).
    pub banned: Vec<u64>,
    /// How many change feeds may be open, and their pace.
    pub feeds: FeedRules,
    /// Whether the development clock can be moved.
    pub dev: bool,
}

impl Rules {
    /// Refuses banned users, whether they call themselves or a server acts for them (A-43, R-16).
    fn admit(&self, principal: &Principal) -> Result<(), ApiError> {
        if principal.users().iter().any(|user| self.banned.contains(&user.xuid.0)) {
            return Err(ApiError::Forbidden("the caller is banned from this service"));
        }
        Ok(())
    }
}

type Answer = Result<Reply, ApiError>;

/// One request after the checks that all routes share.
struct Call<'a> {
    service: &'a web::Data<Service>,
    request: &'a HttpRequest,
    payload: web::Payload,
    principal: Arc<Principal>,
    /// The contract version's minor number; 0 on administrative routes, which have none.
    minor: u32,
}

impl Service {
    /// Runs a use case in the directory's runtime and waits for it there.
    async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.spawn(work).await.expect("use cases do not panic and are not aborted")
    }
}

impl Service {
    /// Brings up to date what is known about whom users follow and block, before anything is decided by it (A-40).
    async fn know(&self, xuids: &[Xuid]) {
        if let Some(work) = self.social.refresh(xuids) {
            self.run(work).await;
        }
    }
}

/// Makes every path go through [`dispatch`], but for the health of the process and the description of what it answers.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(readable("/health").route(web::get().to(live)));
    config.service(readable("/health/ready").route(web::get().to(ready)));
    config.configure(openapi::page::configure).default_service(web::to(dispatch));
}

/// A path of its own that can only be read: other verbs are answered as everywhere (R-08).
fn readable(path: &str) -> Resource {
    web::resource(path).default_service(web::to(async || ApiError::WrongVerb(&[Method::GET]).answer().render(0)))
}

/// Whether the process runs (R-70).
#[utoipa::path(get, path = "/health", operation_id = "isAlive", tag = "operation", security(()),
    responses((status = 200, description = "It runs", body = openapi::shapes::Health)))]
async fn live() -> HttpResponse {
    reply::json(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Whether requests can be answered: the catalog is loaded and the database is there.
#[utoipa::path(get, path = "/health/ready", operation_id = "isReady", tag = "operation", security(()),
    responses(
        (status = 200, description = "They can", body = openapi::shapes::Health),
        (status = 503, description = "They cannot: the body says why", body = openapi::shapes::Health),
    ))]
async fn ready(service: web::Data<Service>) -> HttpResponse {
    let directory = Arc::clone(&service.directory);
    let answer = service.run(async move {
        directory.ready().await?;
        directory.store().ping().await
    });
    match answer.await {
        Ok(()) => reply::json(StatusCode::OK, r#"{"status":"ready"}"#),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not ready","why":"the database cannot be reached"}"#)
        }
    }
}

/// Answers a request.
async fn dispatch(service: web::Data<Service>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let version = extract::contract_minor(request.headers());
    // Before the version is known to be sound nothing is answered that depends on it.
    let minor = *version.as_ref().unwrap_or(&0);
    answer(&service, &request, payload, version).await.unwrap_or_else(ApiError::answer).render(minor)
}

async fn answer(
    service: &web::Data<Service>,
    request: &HttpRequest,
    payload: web::Payload,
    version: Result<u32, ApiError>,
) -> Answer {
    let credential = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let route = Route::find(request.path());
    if let Some(route) = route.as_ref().filter(|route| route.leads_to_socket()) {
        return connect::answer(service, request, payload, route).await;
    }
    let principal = service.verifier.verify(credential, service.clock.real())?;
    service.rules.admit(&principal)?;
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
        let principal = acting::principal(principal, request.headers())?;
        service.rules.admit(&principal)?;
        (principal, minor)
    };
    if route.asks_for_edges() {
        let users: Vec<Xuid> = principal.users().iter().map(|user| user.xuid).collect();
        service.know(&users).await;
    }
    let call = Call { service, request, payload, principal, minor };
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
        (Route::Connect | Route::Nonce, _) => unreachable!("sockets have been dealt with"),
    }
}
