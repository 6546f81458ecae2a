//! The social source: where it is known who follows and who blocks whom.
//!
//! Every rule reads the tables `follows` and `blocks`, so that a decision is one statement whatever the source. With the source
//! [`Table`](Source::Table) they are all there is, filled by administration. With [`Http`](Source::Http) an endpoint of the operator's
//! is asked about each user before a request of that user is served, and what it says is written through to the tables; for as long as
//! that is good, nothing is asked again. What is *not* here: rules, and the administrative routes.

mod http;
mod table;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::ambient::Clock;
use crate::domain::names::Xuid;
use crate::store::Store;

pub use http::{BadUrl, HttpOptions};

/// Keeps what the tables say about users as fresh as its source allows.
pub trait Social: Send + Sync {
    /// Brings the edges of users up to date. `None` when there is nothing to do; else work for the runtime of the directory.
    ///
    /// A source that fails is no error, nor is a store that is busy: then nobody follows those users, and they follow nobody.
    fn refresh(&self, xuids: &[Xuid]) -> Option<BoxFuture<'static, ()>>;

    /// Whether edges are written by administration, and not by the source.
    fn is_administered(&self) -> bool;
}

/// Which source there is.
#[derive(Debug, Clone)]
pub enum Source {
    /// The tables themselves.
    Table,
    /// An endpoint that is asked about each user.
    Http(HttpOptions),
}

/// Opens a source over the tables of a store.
///
/// # Errors
/// When the endpoint's URL is none.
pub fn open(source: Source, store: &Store, clock: &Clock) -> Result<Arc<dyn Social>, BadUrl> {
    Ok(match source {
        Source::Table => Arc::new(table::Table),
        Source::Http(options) => Arc::new(http::Endpoint::open(options, store.clone(), clock.clone())?),
    })
}
