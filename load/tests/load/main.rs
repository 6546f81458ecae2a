//! `openmpsd-load` as it is used: the program itself, against a service that runs, and against targets that misbehave.

mod decoy;
mod misuse;
mod runs;
mod service;
mod tool;
