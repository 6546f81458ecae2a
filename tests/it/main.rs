//! Every integration test, in one binary because linking is slow; a module per capability, named like the contract's chapters.

mod access;
mod bad_input;
mod clients;
mod cluster;
mod errors;
mod harness;
mod routes;
mod templates;
mod writes;
