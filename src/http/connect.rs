//! The way to a socket: who may open one, with which sub-protocol, and the ticket that opens one.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use actix_ws::{MessageStream, Session};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::ApiError;
use super::reply::{self, Reply};
use super::route::Route;
use super::{Answer, Service};
use crate::auth::{AuthError, Nonce, Ticket};
use crate::domain::principal::{Principal, User};
use crate::json::Object;
use crate::rta::{self, Socket};

/// The sub-protocol that clients of the contract offer (N-02).
const PROTOCOL: &str = "rta.xboxlive.com.V2";
/// How long a nonce works (N-65).
const NONCE_LIFE: TimeDelta = TimeDelta::seconds(60);

/// Answers a request for a socket or for a ticket to one; neither has a contract version (N-03, N-65).
pub async fn answer(service: &web::Data<Service>, request: &HttpRequest, payload: web::Payload, route: &Route) -> Answer {
    // A nonce is no credential of a request for another nonce, nor for another verb.
    let takes_nonce = *route == Route::Connect && route.verbs().contains(request.method());
    if let Some(nonce) = given_nonce(request).filter(|_| takes_nonce) {
        let nonce = Nonce::parse(&nonce).ok_or_else(unknown_nonce)?;
        // It works once: a request that opens nothing does not use it up.
        let upgrade = upgrade(service, request, payload).await?;
        let ticket = redeem(service, &nonce).await?;
        return Ok(open(service, upgrade, &ticket));
    }
    let caller = identify(service, request)?;
    if !route.verbs().contains(request.method()) {
        return Err(ApiError::WrongVerb(route.verbs()));
    }
    let ticket = caller.ok_or(ApiError::Forbidden("sockets are for users: servers and administrators have none"))?;
    match route {
        Route::Nonce => issue(service, &ticket).await,
        _ => Ok(open(service, upgrade(service, request, payload).await?, &ticket)),
    }
}

/// The nonce of the query string, good or bad, unless there is a credential, which decides alone (N-65).
fn given_nonce(request: &HttpRequest) -> Option<String> {
    if request.headers().contains_key(AUTHORIZATION) {
        return None;
    }
    let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(name, _)| name.eq_ignore_ascii_case("nonce")).map(|(_, nonce)| nonce.into_owned())
}

fn unknown_nonce() -> ApiError {
    AuthError::Invalid("the nonce is unknown, used or expired".to_owned()).into()
}

/// Who calls by its credential, admitted; `None` for a caller that is no user.
fn identify(service: &Service, request: &HttpRequest) -> Result<Option<Ticket>, ApiError> {
    let credential = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (principal, until) = service.verifier.verify_with_end(credential, service.clock.real())?;
    service.admit(&principal)?;
    Ok(user(&principal).map(|user| Ticket { user: user.clone(), until }))
}

fn user(principal: &Principal) -> Option<&User> {
    if let Principal::User(user) = principal { Some(user) } else { None }
}

/// Whom a nonce stands for, admitted. It does not work again, whatever the answer.
async fn redeem(service: &Service, nonce: &Nonce) -> Result<Ticket, ApiError> {
    let (digest, real_now) = (nonce.digest(), service.clock.real());
    let directory = Arc::clone(&service.directory);
    let kept = service.run(async move { directory.take_ticket(digest, real_now).await }).await?;
    let ticket = kept.as_deref().and_then(Ticket::read).filter(|ticket| ticket.until > real_now).ok_or_else(unknown_nonce)?;
    service.admit(&Principal::User(ticket.user.clone()))?;
    Ok(ticket)
}

/// Hands out a nonce for a caller (N-65).
async fn issue(service: &Service, ticket: &Ticket) -> Answer {
    let Some(nonce) = Nonce::random() else {
        tracing::error!("failed to make a nonce: the system has no randomness to give");
        return Ok(reply::broken().into());
    };
    let (digest, owner, principal, real_now) = (nonce.digest(), ticket.user.xuid, ticket.render(), service.clock.real());
    let directory = Arc::clone(&service.directory);
    let kept = service.run(async move { directory.keep_ticket(digest, owner, &principal, real_now, nonce_end(real_now)).await });
    kept.await?;
    let mut body = Object::new();
    body.insert("nonce".into(), nonce.as_str().into());
    Ok(reply::value(StatusCode::OK, &body.into()).into())
}

fn nonce_end(real_now: DateTime<Utc>) -> DateTime<Utc> {
    real_now.checked_add_signed(NONCE_LIFE).unwrap_or(real_now)
}

/// The answer that makes a socket of a request, and both ends of it.
type Upgrade = (HttpResponse, Session, MessageStream);

/// Makes a socket of the request if its headers ask for one.
async fn upgrade(service: &Service, request: &HttpRequest, payload: web::Payload) -> Result<Upgrade, ApiError> {
    let refused = |error: actix_web::Error| ApiError::NoUpgrade(error.to_string());
    let mut payload = rta::bounded(payload.into_inner(), service.sockets.frame_bytes);
    let payload = web::Payload::from_request(request, &mut payload).await.map_err(refused)?;
    let chosen = protocol(request.headers());
    actix_ws::handle_with_protocols(request, payload, chosen.as_slice()).map_err(refused)
}

/// Serves the socket from now on, and answers the request.
fn open(service: &Service, (answer, session, messages): Upgrade, ticket: &Ticket) -> Reply {
    let socket = Socket {
        hub: Arc::clone(&service.hub),
        runtime: service.runtime.clone(),
        clock: service.clock.clone(),
        options: service.sockets.clone(),
        xuid: ticket.user.xuid,
        token_until: ticket.until,
    };
    actix_web::rt::spawn(socket.run(session, messages));
    answer.into()
}

/// Chooses ours of the sub-protocols that are offered, or else the first, in the client's spelling (N-02).
fn protocol(headers: &HeaderMap) -> Option<&str> {
    let mut offered = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|offered| !offered.is_empty());
    let first = offered.next()?;
    if first.eq_ignore_ascii_case(PROTOCOL) {
        return Some(first);
    }
    Some(offered.find(|offered| offered.eq_ignore_ascii_case(PROTOCOL)).unwrap_or(first))
}

/// What the routes of this file say of themselves, one function for each verb of each route; `answer` serves them.
pub mod documented {
    #![expect(dead_code, reason = "only the description reads these functions")]

    use super::super::openapi::params::NonceQuery;
    use super::super::openapi::shapes::Nonce;

    /// Opens the RTA socket.
    ///
    /// The protocol on it is one of its own. It needs a user: a credential, or a nonce.
    #[utoipa::path(get, path = "/connect", operation_id = "openSocket", tag = "sockets",
        params(NonceQuery),
        responses(
            (status = 101,
                description = "A websocket; docs/notifications.md and the contract's notifications.md have what is said on it"),
            (status = 426, description = "The request does not ask for a websocket (R-60)"),
        ))]
    pub fn open_socket() {}

    /// Hands out a ticket that opens one socket (R-61, N-65).
    #[utoipa::path(get, path = "/nonce", operation_id = "issueNonce", tag = "sockets",
        responses(
            (status = 200, description = "The nonce, good for 60 seconds and one socket", body = Nonce),
        ))]
    pub fn issue_nonce() {}
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], None)]
    #[case(&["rta.xboxlive.com.V2"], Some("rta.xboxlive.com.V2"))]
    #[case(&["echo-protocol"], Some("echo-protocol"))]
    #[case(&["a, RTA.xboxlive.com.v2"], Some("RTA.xboxlive.com.v2"))]
    #[case(&["a,b", "rta.xboxlive.com.V2"], Some("rta.xboxlive.com.V2"))]
    #[case(&[" , ,b"], Some("b"))]
    fn n02_sub_protocols(#[case] offered: &[&str], #[case] chosen: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in offered {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(protocol(&headers), chosen);
    }
}
