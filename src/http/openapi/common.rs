//! What operations share: the ways to say who calls, the refusals that any of them may answer (errors.md), and the headers of answers.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::operations_of;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Adds the ways to say who calls.
fn name_credentials(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let xbl = ApiKeyValue::with_description(
        "Authorization",
        "`XBL3.0 x={userHash};{token}`: a token that the installation trusts; the user hash is not looked at (R-01)",
    );
    components.add_security_scheme("xbl", SecurityScheme::ApiKey(ApiKey::Header(xbl)));
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("JWT".to_owned());
    bearer.description = Some("`Bearer {token}`: the same token (R-01)".to_owned());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let mut metrics = Http::new(HttpAuthScheme::Bearer);
    metrics.description = Some("`telemetry.metrics_bearer` of the installation, if it is set".to_owned());
    components.add_security_scheme("metrics", SecurityScheme::Http(metrics));
}

/// Adds to every operation what it may answer beside what its own attribute says.
pub fn complete(document: &mut OpenApi) {
    name_credentials(document);
    for (path, item) in &mut document.paths.paths {
        for operation in operations_of(item) {
            // An empty requirement: the operation needs no credential.
            let public =
                operation.security.as_ref().is_some_and(|needed| needed.iter().any(|one| *one == SecurityRequirement::default()));
            if !public {
                refuse(path, operation);
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    fill(path, status, response);
                }
            }
        }
    }
}

/// Adds the refusals of the checks that come first (E-10).
fn refuse(path: &str, operation: &mut Operation) {
    let administrative = path.starts_with("/admin/");
    let contract = !administrative && !matches!(path, "/connect" | "/nonce");
    let body = operation.request_body.is_some();
    let asked = |parameter: &_| matches!(parameter, RefOr::T(Parameter { parameter_in: ParameterIn::Query, .. }));
    let query = operation.parameters.iter().flatten().any(asked);
    let mut may = |status: &str, why: &str| {
        let response = || RefOr::T(ResponseBuilder::new().description(why).build());
        operation.responses.responses.entry(status.to_owned()).or_insert_with(response);
    };
    may("401", "No credential, or no good one (A-01)");
    if administrative {
        may("403", "The caller is no administrator");
    } else {
        may("403", "The caller may not do this (E-12)");
    }
    if !administrative {
        may("429", "Too many requests (E-20)");
    }
    may("431", "The headers are too large");
    may("500", "The service failed; its log says why");
    may("503", "Not possible just now: the database is away, the service is busy, or the request took too long");
    if contract {
        may("406", "The contract version is not supported (R-03)");
    }
    if contract || body || (administrative && query) {
        may("400", "The request is malformed: the text names the field (E-11)");
    }
    if body {
        may("408", "The body did not come in time");
        may("413", "The body is too large (S-95)");
    }
    if path.contains('{') || (contract && body) {
        may("404", "Something that the path or the body names does not exist (E-13)");
    }
}

/// Completes an answer: refusals are text (E-02), and sessions come with their headers.
fn fill(path: &str, status: &str, response: &mut Response) {
    let below_session = path.starts_with("/serviceconfigs/") && path.contains("/sessions/{name}") && !path.ends_with("/changes");
    let on_session = below_session || path.ends_with("/session");
    let refusal = matches!(status.as_bytes().first(), Some(b'4' | b'5'));
    if refusal && response.content.is_empty() {
        if status == "429" {
            add_content(response, JSON, Ref::from_schema_name("Throttled"));
        } else {
            add_content(response, TEXT, ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)));
        }
        let about_session = on_session || (path.starts_with("/handles") && path != "/handles/query");
        if about_session && matches!(status, "403" | "412") {
            // Whoever may read the session is shown it (A-11, E-04).
            add_content(response, JSON, Ref::from_schema_name("Session"));
        }
    }
    if status == "412" {
        response.description.push_str("; the body is the session as it is, or there is none (W-42, W-43)");
    }
    let shows_session = is_session(response);
    let mut add = |name: &str, why: &str| {
        let header = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))));
        response.headers.insert(name.to_owned(), RefOr::T(header.description(Some(why)).build()));
    };
    match status {
        "401" => add("WWW-Authenticate", "Which scheme is wanted"),
        "426" => add("Upgrade", "`websocket`"),
        "429" | "503" => add("Retry-After", "Seconds after which to try again"),
        _ => {}
    }
    if status == "429" {
        add("RateLimit-Limit", "Requests that are allowed in the period");
        add("RateLimit-Remaining", "How many of them are left");
        add("RateLimit-Reset", "Seconds until the period ends");
    }
    if shows_session || (on_session && matches!(status, "304")) {
        add("ETag", "The state of the session (W-40); absent where none is stored (R-24)");
    }
    if shows_session {
        add("Content-Location", "The path of the session (R-12)");
        add("Expires", "When the next timeout fires, while one is pending (R-13)");
    }
}

fn add_content(response: &mut Response, kind: &str, schema: impl Into<RefOr<utoipa::openapi::Schema>>) {
    response.content.insert(kind.to_owned(), RefOr::T(Content::new(Some(schema))));
}

/// Whether the answer is, or may be, a session.
fn is_session(response: &Response) -> bool {
    let session = RefOr::Ref(Ref::from_schema_name("Session"));
    response.content.values().any(|content| matches!(content, RefOr::T(content) if content.schema.as_ref() == Some(&session)))
}
