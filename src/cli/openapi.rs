//! `openmpsd openapi`: prints the description of the HTTP interface that a running service has at `/openapi.json`.

use std::io::{self, Write};

use anyhow::Context;

use crate::http::openapi::text;

/// Prints the description.
pub fn run() -> anyhow::Result<()> {
    io::stdout().lock().write_all(text().as_bytes()).context("cannot print the description")
}
