//! Between JSON and the domain: what clients send, what they get, and what is stored.
//!
//! Pure: text in, values out, and the other way. `request` reads a write, `stored` renders and reads the document and what only the
//! service knows, `delta` renders what a change did, `query` and `handle` do the same for their routes. What is *not* here: rules
//! (they are the domain's), the 104/105 rendering and the view of large sessions.

pub mod delta;
pub mod handle;
pub mod large;
pub mod query;
pub mod request;
pub mod stored;
