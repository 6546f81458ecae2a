//! Between JSON and the domain: what clients send, what they get, and what is stored.
//!
//! Pure: text in, values out, and the other way. `request` reads a write, `stored` renders and reads the document and what only the
//! service knows, `large` does so where members are hidden from each other, `view` gives older clients their names, `element` finds
//! a part, `delta` renders what a change did, `feed` tells it to one reader, `hindsight` finds out who could read what, `query`, `handle`
//! and `social` do the same for their routes, `rta` for the frames of the socket; `whole` shows operators a session with all there is, and
//! `fields` writes JSON for all of them. What is *not* here: rules (they are the domain's).

pub mod delta;
pub mod departed;
pub mod element;
pub mod feed;
mod fields;
#[cfg(test)]
mod fuzz;
pub mod handle;
pub mod handle_request;
pub mod hindsight;
pub mod large;
pub mod percent;
pub mod query;
pub mod request;
pub mod rta;
pub mod search;
pub mod social;
pub mod stored;
pub mod view;
pub mod whole;
