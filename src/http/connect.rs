//! The way to a socket: who may open one, with which sub-protocol, and the ticket that opens one.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use actix_web::{FromRequest as _, HttpRequest, web};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::ApiError;
use super::route::Route;
use super::{Answer, Service, reply};
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
    let caller = match given_nonce(request).filter(|_| takes_nonce) {
        Some(nonce) => redeem(service, nonce).await?,
        None => identify(service, request)?,
    };
    if !route.verbs().contains(request.method()) {
        return Err(ApiError::WrongVerb(route.verbs()));
    }
    let ticket = caller.ok_or(ApiError::Forbidden("sockets are for users: servers and administrators have none"))?;
    match route {
        Route::Nonce => issue(service, &ticket).await,
        _ => open(service, request, payload, &ticket).await,
    }
}

/// The nonce of the query string, unless there is a credential, which decides alone (N-65).
fn given_nonce(request: &HttpRequest) -> Option<Nonce> {
    if request.headers().contains_key(AUTHORIZATION) {
        return None;
    }
    let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(name, _)| name.eq_ignore_ascii_case("nonce")).map(|(_, nonce)| Nonce::given(&nonce))
}

/// Who calls by its credential, admitted; `None` for a caller that is no user.
fn identify(service: &Service, request: &HttpRequest) -> Result<Option<Ticket>, ApiError> {
    let credential = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (principal, until) = service.verifier.verify_with_end(credential, service.clock.real())?;
    service.rules.admit(&principal)?;
    Ok(user(&principal).map(|user| Ticket { user: user.clone(), until }))
}

fn user(principal: &Principal) -> Option<&User> {
    if let Principal::User(user) = principal { Some(user) } else { None }
}

/// Whom a nonce stands for, admitted. It does not work again, whatever the answer.
async fn redeem(service: &Service, nonce: Nonce) -> Result<Option<Ticket>, ApiError> {
    let real_now = service.clock.real();
    let store = service.directory.store().clone();
    let kept = service.run(async move { store.take_nonce(nonce.digest(), real_now).await }).await?;
    let ticket = kept.as_deref().and_then(Ticket::read).filter(|ticket| ticket.until > real_now);
    let ticket = ticket.ok_or_else(|| AuthError::Invalid("the nonce is unknown, used or expired".to_owned()))?;
    service.rules.admit(&Principal::User(ticket.user.clone()))?;
    Ok(Some(ticket))
}

/// Hands out a nonce for a caller (N-65).
async fn issue(service: &Service, ticket: &Ticket) -> Answer {
    let Some(nonce) = Nonce::random() else {
        tracing::error!("failed to make a nonce: the system has no randomness to give");
        return Ok(reply::broken().into());
    };
    let (digest, principal, expires_at) = (nonce.digest(), ticket.render(), nonce_end(service.clock.real()));
    let store = service.directory.store().clone();
    service.run(async move { store.put_nonce(digest, &principal, expires_at).await }).await?;
    let mut body = Object::new();
    body.insert("nonce".into(), nonce.as_str().into());
    Ok(reply::value(StatusCode::OK, &body.into()).into())
}

fn nonce_end(real_now: DateTime<Utc>) -> DateTime<Utc> {
    real_now.checked_add_signed(NONCE_LIFE).unwrap_or(real_now)
}

/// Makes a socket of the request.
async fn open(service: &web::Data<Service>, request: &HttpRequest, payload: web::Payload, ticket: &Ticket) -> Answer {
    let mut payload = rta::bounded(payload.into_inner(), service.sockets.frame_bytes);
    let payload =
        web::Payload::from_request(request, &mut payload).await.map_err(|error| ApiError::NoUpgrade(error.to_string()))?;
    let chosen = protocol(request.headers());
    let (answer, session, messages) = actix_ws::handle_with_protocols(request, payload, chosen.as_slice())
        .map_err(|error| ApiError::NoUpgrade(error.to_string()))?;
    let socket = Socket {
        hub: Arc::clone(&service.hub),
        runtime: service.runtime.clone(),
        clock: service.clock.clone(),
        options: service.sockets.clone(),
        xuid: ticket.user.xuid,
        token_until: ticket.until,
    };
    actix_web::rt::spawn(socket.run(session, messages));
    Ok(answer.into())
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
