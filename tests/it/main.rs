//! Every integration test, in one binary because linking is slow; a module per capability, named like the contract's chapters.

mod chance;
mod cluster;
mod harness;
mod kill;
mod model;
mod process;
mod proxy;
mod replicas;
mod routes;
