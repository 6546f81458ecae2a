//! From committed changes to those who are to hear of them: which sockets live here, which sessions they are registered in, what
//! was told to whom, and what other instances have to know.
//!
//! `hub` is where everybody comes to listen; `state` is what it knows and decides who is tapped, `followed` its bookkeeping of one
//! session; `hint` is what instances tell each other, `presence` judges which of them live, `losses` sees to what they leave behind, `banned`
//! sends away who is banned, and `tasks` keeps all of that going. What is *not* here: the protocol of the socket
//! (`rta`), and rules about sessions: who is tapped for what follows from the change log, which is written with every change.

mod banned;
mod followed;
mod hint;
mod hub;
mod losses;
mod outbox;
mod presence;
mod state;
mod tasks;

pub use hub::{Ears, Hub, Seat, Unopened, Watch};
pub use outbox::{Farewell, Invite, Outbox, Parcel, Tap};
pub use tasks::{Notifier, Options};
