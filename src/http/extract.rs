//! What requests carry besides their path: the contract version, conditions and the body.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::web;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::Call;
use super::error::ApiError;
use crate::domain::command::{Preconditions, Tags};
use crate::domain::template::Form;

/// Reads `X-Xbl-Contract-Version`, 100 times the major and the minor number, and returns the minor number, at least 4.
pub fn contract_minor(headers: &HeaderMap) -> Result<u32, ApiError> {
    let bad = |why: &str| ApiError::BadRequest(format!("X-Xbl-Contract-Version: {why}, a number like 107 is expected"));
    let text = headers.get("x-xbl-contract-version").and_then(|value| value.to_str().ok()).map(str::trim);
    let text = text.ok_or_else(|| bad("the header is missing"))?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad("the value is not a number"));
    }
    let version = text.parse().unwrap_or(u32::MAX);
    if version / 100 == 1 && version >= 104 { Ok(version % 100) } else { Err(ApiError::WrongVersion(version)) }
}

/// The names that a request of this minor version may use (W-71).
pub fn form(minor: u32) -> Form {
    if minor >= 7 { Form::New } else { Form::Old }
}

/// Reads `If-Match` and `If-None-Match` (W-40 to W-46); an empty value is none (W-44).
pub fn preconditions(headers: &HeaderMap) -> Preconditions {
    Preconditions { if_match: tags(headers, &IF_MATCH), if_none_match: tags(headers, &IF_NONE_MATCH) }
}

/// Reads a list of entity tags, with or without quotes and `W/` (W-41).
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
    let mut found = Vec::new();
    for value in headers.get_all(name) {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        for tag in text.split(',').map(str::trim) {
            if tag == "*" {
                return Some(Tags::Any);
            }
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
            if !tag.is_empty() {
                found.push(tag.to_owned());
            }
        }
    }
    if found.is_empty() { None } else { Some(Tags::These(found)) }
}

/// Reads the whole body (E-10 #8): bounded, and JSON if it says what it is.
pub async fn body(call: &mut Call<'_>) -> Result<web::Bytes, ApiError> {
    let mut body = web::BytesMut::new();
    // What is left of the time is for the answer: a client that sends too slowly is to blame itself, and nothing was begun.
    let whole = call.service.rules.patience.request * 3 / 4;
    each_chunk(call, call.service.rules.body_bytes, Some(whole), |chunk| {
        body.extend_from_slice(chunk);
        Ok(())
    })
    .await?;
    let kind = call.request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !body.is_empty() && !says_json(kind) {
        return Err(ApiError::BadRequest(format!("Content-Type: application/json is expected, not {kind}")));
    }
    Ok(body.freeze())
}

/// Hands on a body of at most so many bytes as it arrives; within a time, if there is one, and always without long pauses.
pub async fn each_chunk(
    call: &mut Call<'_>,
    most: usize,
    whole: Option<Duration>,
    mut take: impl FnMut(&[u8]) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let announced = call.request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > most) {
        return Err(ApiError::TooLarge(most));
    }
    let mut taken = 0;
    let pause = call.service.rules.patience.body;
    let deadline = whole.map(|whole| Instant::now() + whole);
    loop {
        let silence = Instant::now() + pause;
        let until = deadline.map_or(silence, |deadline| deadline.min(silence));
        let slow = |_| match (whole, until < silence) {
            (Some(whole), true) => ApiError::SlowBody(format!("not complete after {} ms", whole.as_millis())),
            _ => ApiError::SlowBody(format!("nothing came for {} ms", pause.as_millis())),
        };
        let Some(chunk) = timeout_at(until, call.payload.next()).await.map_err(slow)? else { break };
        let chunk = chunk.map_err(|_| ApiError::BadRequest("body: it ended before it was complete".to_owned()))?;
        taken += chunk.len();
        if taken > most {
            return Err(ApiError::TooLarge(most));
        }
        take(&chunk)?;
    }
    Ok(())
}

/// Whether a media type is JSON or says nothing.
pub fn says_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.is_empty() || kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        headers
    }

    #[rstest]
    #[case("107", Some(7))]
    #[case("104", Some(4))]
    #[case("199", Some(99))]
    #[case(" 107 ", Some(7))]
    #[case("103", None)]
    #[case("204", None)]
    #[case("99999999999", None)]
    #[case("1O7", None)]
    #[case("", None)]
    #[case("+107", None)]
    fn r03_versions(#[case] value: &str, #[case] minor: Option<u32>) {
        assert_eq!(contract_minor(&headers("x-xbl-contract-version", value)).ok(), minor);
    }

    #[rstest]
    #[case("*", Some(Tags::Any))]
    #[case("", None)]
    #[case("\"\"", None)]
    #[case("a.1", Some(Tags::These(vec!["a.1".into()])))]
    #[case("W/\"a.1\", \"b.2\"", Some(Tags::These(vec!["a.1".into(), "b.2".into()])))]
    fn w41_tags(#[case] value: &str, #[case] expected: Option<Tags>) {
        assert_eq!(preconditions(&headers("if-match", value)).if_match, expected);
    }

    #[rstest]
    #[case("", true)]
    #[case("application/json; charset=utf-8", true)]
    #[case("Application/JSON", true)]
    #[case("application/merge-patch+json", true)]
    #[case("text/xml", false)]
    #[case("application/x-www-form-urlencoded", false)]
    fn r05_media_types(#[case] kind: &str, #[case] json: bool) {
        assert_eq!(says_json(kind), json);
    }
}
