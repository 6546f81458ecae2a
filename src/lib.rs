//! openmpsd: an open, self-hosted Multiplayer Session Directory.
//!
//! The rooms of the house, in the order of their dependencies:
//! `domain <- wire <- store <- directory <- notify <- rta <- http`, `domain <- auth <- http`, all `<- app <- cli`;
//! `json`, `settings`, `ambient` and `metrics` are leaves, `embedded` stands beside the store, `services` brings files into it,
//! `social` keeps what it says about users fresh.

pub mod ambient;
pub mod app;
pub mod auth;
pub mod cli;
pub mod directory;
pub mod domain;
pub mod embedded;
pub mod http;
pub mod json;
pub mod metrics;
pub mod notify;
pub mod rta;
pub mod services;
pub mod settings;
pub mod social;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod tests;
pub mod wire;
