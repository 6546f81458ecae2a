//! Every integration test, in one binary because linking is slow; a module per capability, named like the contract's chapters.

mod cluster;
mod harness;
mod queries;
mod routes;
mod story;
