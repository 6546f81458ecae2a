//! Every reason to say no, and what kind of no it is (E-01, E-11 to E-14).

use std::fmt::{Arguments, Display};

/// The path of a field in a request, for messages: `members.me.properties`. Nearly always nothing is wrong, so it is put together only
/// when it is shown.
pub type At<'a> = Arguments<'a>;

/// Why a command was refused. The text names the field and, where there is one, the way out (E-02).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What kind of no.
    pub kind: Kind,
    /// One sentence for a human reader.
    pub text: String,
}

/// The kinds of refusal, in the order in which they are checked (E-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `If-None-Match: *` on an existing session, or `If-Match` on a missing one: no body (W-42, W-43).
    Precondition,
    /// The session is missing where the route needs one.
    Missing,
    /// The caller may not do this (E-12); the session is shown if the caller may read it.
    Forbidden,
    /// `If-Match` names another state; the session is shown (W-43).
    Stale,
    /// The request is wrong in itself or against the rules of the document (E-11).
    Invalid,
    /// The request contradicts constants or state (E-14).
    Conflict,
    /// No slot is free (M-88).
    Full,
}

impl Refusal {
    /// A malformed or impossible value, by the path of its field.
    pub fn invalid(at: impl Display, why: impl Display) -> Self {
        Self { kind: Kind::Invalid, text: format!("{at}: {why}") }
    }

    /// A contradiction to constants or state, by the path of its field.
    pub fn conflict(at: impl Display, why: impl Display) -> Self {
        Self { kind: Kind::Conflict, text: format!("{at}: {why}") }
    }

    /// Something the caller may not do.
    pub fn forbidden(why: impl Into<String>) -> Self {
        Self { kind: Kind::Forbidden, text: why.into() }
    }

    /// A refusal of another kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}
