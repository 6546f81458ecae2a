//! What a use case can come to when it does not succeed.

use crate::domain::refusal::{Kind, Refusal};
use crate::store::StoreError;

use super::Document;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A rule says no; the session comes along where the caller may see it (A-11, W-43).
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The session as it is, if it may be shown.
        shown: Option<Box<Document>>,
    },
    /// There is no such service config (404).
    #[error("the service config {0} does not exist")]
    UnknownService(String),
    /// There is no such template (404).
    #[error("the template {0} does not exist in this service config")]
    UnknownTemplate(String),
    /// There is no such handle, or not any more (404).
    #[error("the handle does not exist")]
    UnknownHandle,
    /// Too much is queued already (503).
    #[error("too much is waiting already")]
    Busy,
    /// The service itself is at fault, and says why in its log (500).
    #[error("a task of the directory panicked")]
    Broken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for DirectoryError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, shown: None }
    }
}

impl DirectoryError {
    /// Whether the same may work in a moment: the fault is the database's, or that of too many others (503).
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        let passes =
            |error: &StoreError| matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::LostRace);
        matches!(self, Self::Busy) || matches!(self, Self::Store(error) if passes(error))
    }

    /// A refusal with the session it is about, if the caller may see it and this kind of refusal shows it.
    pub(super) fn about(refusal: Refusal, readable: bool, document: impl FnOnce() -> Option<Document>) -> Self {
        match refusal.kind {
            Kind::Forbidden | Kind::Stale if readable => Self::Refused { refusal, shown: document().map(Box::new) },
            Kind::Stale => Refusal::forbidden("the caller may not read the session").into(),
            _ => refusal.into(),
        }
    }
}
