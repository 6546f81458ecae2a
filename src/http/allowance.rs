//! Between requests and the rate limits: who is counted for a request (W-80), what an answer says of it, and the refusal (E-20).

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};

use super::error::ApiError;
use super::route::Route;
use super::throttle::{Allowance, Excess, Key};
use super::{Call, Service, reply};
use crate::domain::names::Scid;
use crate::domain::principal::Principal;
use crate::domain::throttle::Counted;
use crate::json::Object;

/// Counts a request before anything is done for it (E-10 #2): whatever its path, administration excepted.
///
/// # Errors
/// 429.
pub fn admit(service: &Service, request: &HttpRequest, principal: &Principal, route: Option<&Route>) -> Result<(), ApiError> {
    if !service.rules.throttle.enabled || route.is_some_and(Route::is_administrative) {
        return Ok(());
    }
    let scid = route.and_then(Route::scid).and_then(|scid| Scid::parse(scid).ok());
    count(service, request, principal, Counted::Requests, scid.as_ref())
}

/// Counts a request about search handles a second time, once its body has said that it is one.
///
/// # Errors
/// 429.
pub fn admit_search(call: &Call, counted: Counted, scid: Option<&Scid>) -> Result<(), ApiError> {
    if !call.service.rules.throttle.enabled {
        return Ok(());
    }
    count(call.service, call.request, &call.principal, counted, scid)
}

/// Counts a request for each of its users, and keeps for the answer what is left to the one who has least.
fn count(
    service: &Service,
    request: &HttpRequest,
    principal: &Principal,
    counted: Counted,
    scid: Option<&Scid>,
) -> Result<(), ApiError> {
    let rules = &service.rules.throttle;
    if matches!(principal, Principal::ServerFor(_)) && !rules.acting_users {
        return Ok(());
    }
    let own = scid.and_then(|scid| Some((scid.id(), service.directory.catalog().numbers(scid, &rules.numbers)?)));
    let (scid, limit) = own.map_or((None, rules.numbers.of(counted)), |(scid, numbers)| (Some(scid), numbers.of(counted)));
    let now = service.clock.real();
    let mut least = request.extensions().get::<Allowance>().copied();
    let mut worst: Option<Excess> = None;
    // Each of them, also when the first has called too often already: refused requests count as well.
    for user in principal.users() {
        let verdict = service.throttle.count(Key { xuid: user.xuid, title: user.title_id, scid, counted }, limit, now);
        least = [least, verdict.left].into_iter().flatten().reduce(Allowance::tighter);
        worst = [worst, verdict.excess].into_iter().flatten().max_by_key(|excess| excess.window.period_s);
    }
    if let Some(allowance) = least {
        request.extensions_mut().insert(allowance);
    }
    match (worst, least) {
        (Some(excess), Some(allowance)) => Err(ApiError::Throttled { excess, retry_after_s: allowance.reset_s }),
        _ => Ok(()),
    }
}

/// Tells in an answer what is left of the tightest window that the request counted in.
pub fn show(service: &Service, request: &HttpRequest, answer: &mut HttpResponse) {
    if !service.rules.throttle.enabled {
        return;
    }
    let Some(allowance) = request.extensions().get::<Allowance>().copied() else { return };
    let headers = answer.headers_mut();
    for (name, value) in
        [("ratelimit-limit", allowance.max), ("ratelimit-remaining", allowance.left), ("ratelimit-reset", allowance.reset_s)]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

/// The answer to a request too many (E-20).
#[must_use]
pub fn refuse(excess: Excess, retry_after_s: u32) -> HttpResponse {
    let mut body = Object::with_capacity(5);
    body.insert("version".into(), 1_u32.into());
    body.insert("currentRequests".into(), excess.count.into());
    body.insert("maxRequests".into(), excess.window.max.into());
    body.insert("periodInSeconds".into(), excess.window.period_s.into());
    body.insert("limitType".into(), "rate".into());
    let mut answer = reply::value(StatusCode::TOO_MANY_REQUESTS, &body.into());
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
    answer
}
