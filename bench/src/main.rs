//! Benchmarks of openmpsd beside the database itself.

mod comparison;
mod report;

fn main() {}
