//! Benchmarks of openmpsd beside the database itself.

mod comparison;
mod dataset;

fn main() {}
