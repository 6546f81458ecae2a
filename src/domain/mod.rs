//! Everything a session directory knows, without a clock, a network or a database.
//!
//! The words: a *session* is one document with members, behind a *reference* of service config, template and name; a *record* is
//! what is stored there, a session or nothing; a *command* is what somebody, or the clock, wants done to it; a *decision* is what
//! comes of that. [`decide::decide`] is the one place where rules about a session live. Start reading there, then `session`, then
//! `timers`. Whatever happened is found afterwards by comparing two records ([`change::between`]), so nothing can be forgotten.
//!
//! What is *not* here: clocks, randomness, networks, databases, HTTP. Everything a rule needs comes in by [`decide::Context`].

pub mod access;
pub mod administration;
pub mod authority;
pub mod bag;
pub mod change;
pub mod command;
pub mod connection;
pub mod decide;
pub mod entries;
pub mod filter;
pub mod handle;
pub mod initialization;
pub mod instant;
pub mod limits;
pub mod listing;
pub mod member;
pub mod merge;
pub mod names;
pub mod principal;
pub mod qos;
pub mod query;
pub mod refusal;
pub mod roles;
pub mod search;
pub mod servers;
pub mod session;
pub mod subscription;
pub mod system;
pub mod template;
pub mod throttle;
pub mod timers;

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod tests;
