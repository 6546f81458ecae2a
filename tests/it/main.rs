//! Every integration test, in one binary because linking is slow; a module per capability, named like the contract's chapters.

mod access;
mod chance;
mod cluster;
mod errors;
mod harness;
mod kill;
mod model;
mod process;
mod proxy;
mod queries;
mod routes;
mod services;
mod story;
mod templates;
mod tidy;
mod writes;
