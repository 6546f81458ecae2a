//! Every integration test, in one binary because linking is slow; a module per capability, named like the contract's chapters.

mod access;
mod bad_input;
mod chance;
mod clients;
mod cluster;
mod errors;
mod handles;
mod handles_query;
mod harness;
mod kill;
mod members;
mod model;
mod process;
mod proxy;
mod queries;
mod replicas;
mod routes;
mod services;
mod story;
mod sweeper;
mod templates;
mod tidy;
mod writes;
