//! The description and the page that shows it, for everybody: nothing on the page comes from another host.

use std::sync::{Arc, LazyLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::Config;

use super::super::{readable, reply};

/// For how long browsers may keep what does not change while an instance runs.
const KEEP: &str = "public, max-age=300";

/// The page runs its own scripts, asks its own host, and draws with styles that it makes itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the page finds things, as seen from `/docs/`.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("../openapi.json").validator_url("none").doc_expansion("list").default_models_expand_depth(0);
    Arc::new(config.deep_linking(true))
});

/// Routes of the description and its page.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(readable("/openapi.json").route(web::get().to(document)));
    // In a scope, or each path that is asked for would be matched with the pattern.
    let page = web::scope("/docs").service(readable("").route(web::get().to(lead)));
    config.service(page.service(readable("/{file:.*}").route(web::get().to(file_of))));
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "readDescription", tag = "operation", security(()),
    responses((status = 200, description = "An OpenAPI document", body = serde_json::Value, content_type = "application/json")))]
async fn document() -> HttpResponse {
    keep(reply::json(StatusCode::OK, super::text()))
}

/// Leads to the page: the files are beside it.
async fn lead() -> HttpResponse {
    let mut answer = reply::empty(StatusCode::PERMANENT_REDIRECT);
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("docs/"));
    answer
}

/// The page that shows this description; it needs nothing from elsewhere. `/docs` leads here.
#[utoipa::path(get, path = "/docs/", operation_id = "showDescription", tag = "operation", security(()),
    responses((status = 200, description = "A page for people", body = String, content_type = "text/html")))]
async fn file_of(file: web::Path<String>) -> HttpResponse {
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)).ok().flatten();
    let Some(found) = found else {
        return reply::text(StatusCode::NOT_FOUND, "the page has no such file");
    };
    let mut answer =
        reply::empty(StatusCode::OK).set_body(actix_web::body::BoxBody::new(web::Bytes::from(found.bytes.into_owned())));
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_str(&found.content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, kind);
    if found.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    keep(answer)
}

fn keep(mut answer: HttpResponse) -> HttpResponse {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(KEEP));
    answer
}
