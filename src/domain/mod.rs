//! Everything a session directory knows, without a clock, a network or a database.

pub mod names;
pub mod principal;
