//! What is tested of the house as a whole, across its rooms: what requests ask of memory and processor ([`guard`]).
//!
//! Deliberately not here: what belongs to one room and is tested there, and whatever needs a database or a socket (`tests/it`).

mod figures;
mod guard;
mod heap;
mod measured;
pub(crate) mod typical;
