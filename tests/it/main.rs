//! Every integration test, in one binary because linking is slow; a module per capability, named like the contract's chapters.

mod cluster;
mod handles;
mod handles_query;
mod harness;
mod members;
mod queries;
mod routes;
mod story;
mod sweeper;
