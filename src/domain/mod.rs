//! Everything a session directory knows, without a clock, a network or a database.

pub mod limits;
pub mod names;
pub mod principal;
pub mod refusal;
pub mod session;
pub mod system;
pub mod template;
