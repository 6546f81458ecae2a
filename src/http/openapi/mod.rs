//! The description of the HTTP interface, in OpenAPI 3.1, and the page that shows it.
//!
//! Every operation is described by `#[utoipa::path]` where it is handled; here they are gathered, and what many of them share is added:
//! answers and headers ([`common`]), the two sides of the session document ([`halves`]) and examples ([`examples`]). A new route is an
//! attribute at its handler and a line in [`Description`]; tests hold the document and the table of routes together.

#[expect(dead_code, reason = "the fields describe JSON and are never read")]
pub mod administration;
mod common;
mod examples;
mod halves;
pub mod page;
#[expect(dead_code, reason = "the fields describe parameters and are never read")]
pub mod params;
#[expect(dead_code, reason = "the fields describe JSON and are never read")]
pub mod session;
#[expect(dead_code, reason = "the fields describe JSON and are never read")]
pub mod shapes;

use std::sync::LazyLock;

use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi as Document, PathItem};

use super::{admin, audit, connect, elements, feed, handles, operations, queries, sessions, social};

/// What openmpsd answers, to whom, and how.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "openmpsd",
        description = "An open Multiplayer Session Directory that speaks the wire contract of Xbox Live's MPSD. Rule ids like W-10 are \
                       those of `docs/contract`. Paths match without regard to case, and one trailing slash is tolerated (R-04). Where \
                       rate limits are on, answers to users say in `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` \
                       what is left (W-80)."
    ),
    security(("xbl" = []), ("bearer" = [])),
    tags(
        (name = "sessions", description = "Sessions: read, write, follow"),
        (name = "elements", description = "Parts of a session by paths of their own"),
        (name = "handles", description = "Pointers to sessions: activities, invites, transfers, searches"),
        (name = "queries", description = "Sessions by user and keyword"),
        (name = "templates", description = "What sessions are made from"),
        (name = "sockets", description = "The way to the RTA socket"),
        (name = "administration", description = "For administrators; outside the contract and without its version (R-70)"),
        (name = "operation", description = "Health, figures and this description; without a credential"),
    ),
    paths(
        sessions::read,
        sessions::write,
        feed::changes,
        elements::documented::read_constants,
        elements::documented::read_properties,
        elements::documented::write_properties,
        elements::documented::read_member,
        elements::documented::write_member,
        elements::documented::delete_member,
        elements::documented::read_server,
        elements::documented::write_server,
        elements::documented::delete_server,
        handles::create,
        handles::query,
        handles::read,
        handles::delete,
        handles::read_session,
        handles::write_session,
        handles::invites,
        handles::delete_invite,
        queries::documented::find_sessions,
        queries::documented::find_template_sessions,
        queries::documented::find_sessions_of_users,
        queries::documented::find_template_sessions_of_users,
        queries::templates,
        queries::template,
        connect::documented::open_socket,
        connect::documented::issue_nonce,
        social::documented::follow,
        social::documented::unfollow,
        social::documented::block,
        social::documented::unblock,
        social::export,
        social::documented::import_edges,
        social::documented::replace_edges,
        admin::advance_clock,
        admin::sessions::list,
        admin::sessions::read,
        admin::sessions::close,
        admin::sessions::remove_member,
        admin::handles::list,
        admin::bans::list,
        admin::bans::read,
        admin::bans::put,
        admin::bans::delete,
        admin::catalog::list,
        admin::catalog::put_service,
        admin::catalog::read_template,
        admin::catalog::put_template,
        audit::list,
        operations::live,
        operations::ready,
        operations::metrics,
        page::document,
        page::file_of,
    ),
    components(schemas(shapes::Throttled))
)]
struct Description;

/// The whole description.
#[must_use]
pub fn document() -> Document {
    let mut document = Description::openapi();
    common::complete(&mut document);
    halves::split(&mut document);
    examples::attach(&mut document);
    document
}

/// The description as text, as it is served and printed: indented, with a newline at the end.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = document().to_pretty_json().expect("a description is JSON");
        text.push('\n');
        text
    });
    &TEXT
}

/// The operations of a path.
fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

#[cfg(test)]
mod tests;
