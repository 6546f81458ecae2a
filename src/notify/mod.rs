//! From committed changes to those who are to hear of them: which sockets live here, which sessions they are registered in, what
//! was told to whom, and what other instances have to know.
//!
//! What is *not* here: the protocol of the socket (`rta`), and rules about sessions.

mod hub;
mod outbox;

pub use hub::{Ears, Hub, Watch};
pub use outbox::{Farewell, Invite, Outbox, Parcel, Tap};
