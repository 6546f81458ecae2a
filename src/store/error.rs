//! What can go wrong between the service and its database.

use std::sync::Arc;

/// Why the store could not do what it was asked. Messages fit after "failed to save the session: ".
///
/// Clonable, because one failure of a gathered statement answers everybody who waits for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be used just now; nothing was done, trying again later may help (503).
    #[error("the database is not available: {0}")]
    Unavailable(Arc<sqlx::Error>),
    /// The session was saved by somebody else since it was loaded; nothing was done, decide again.
    #[error("somebody else saved the session first")]
    LostRace,
    /// The connection broke around the commit: look the write up (`Store::find_writes`) before deciding again.
    #[error("the connection broke before the outcome was known: {0}")]
    Unknown(Arc<sqlx::Error>),
    /// A stored row makes no sense.
    #[error("stored row {reference} cannot be read: {why}")]
    Corrupt {
        /// Which row: the `sid` of a session, the id of a handle.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database refused a statement for its content.
    #[error("the database refused the statement: {0}")]
    Database(Arc<sqlx::Error>),
    /// The schema could not be brought up to date.
    #[error("the schema cannot be migrated: {}", with_causes(&**.0))]
    Migration(Arc<dyn std::error::Error + Send + Sync>),
}

/// Why a database could not be looked at on a connection beside the pool.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot be asked: {}", with_causes(.0))]
pub struct AskError(#[from] tokio_postgres::Error);

/// The error with what caused it: the drivers keep the words that matter in the causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// What an error says about the statement it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection is gone, and with it the knowledge whether the statement was committed.
    Broken,
    /// The database did nothing and says so; later it may.
    Busy,
    /// Nothing was done; the same statement again will probably pass (40001, 40P01).
    Conflict,
    /// The statement itself is at fault.
    Refused,
}

/// Sorts an error by what can be done about it.
pub(super) fn kind(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Kind::Broken,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Kind::Busy,
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            Some("40001" | "40P01") => Kind::Conflict,
            // The server ended this session (25P03: its transaction stood still for too long), or is starting or stopping.
            Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03") => Kind::Broken,
            // A timeout, a lock that was not given, a server that is read-only for the moment.
            Some("57014" | "55P03" | "25006") => Kind::Busy,
            Some(code) if code.starts_with("08") => Kind::Broken,
            Some(code) if code.starts_with("53") => Kind::Busy,
            _ => Kind::Refused,
        },
        _ => Kind::Refused,
    }
}

/// For statements that only read, or that may be repeated without harm: a broken connection is a database that is not available.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match kind(&error) {
            Kind::Broken | Kind::Busy | Kind::Conflict => Self::Unavailable(Arc::new(error)),
            Kind::Refused => Self::Database(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_migration_says_what_caused_it() {
        let Err(error) = super::super::migrate::migrate("postgres://u@127.0.0.1:1/d").await else {
            panic!("nobody listens there")
        };
        let text = error.to_string();
        assert!(text.starts_with("the schema cannot be migrated: error connecting to server: "), "{text}");
    }

    #[test]
    fn a_broken_connection_is_no_fault_of_the_statement() {
        let gone = || sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(kind(&gone()), Kind::Broken);
        assert!(matches!(StoreError::from(gone()), StoreError::Unavailable(_)));
        assert_eq!(kind(&sqlx::Error::PoolTimedOut), Kind::Busy);
        assert_eq!(kind(&sqlx::Error::RowNotFound), Kind::Refused);
    }
}
