//! Benchmarks of openmpsd beside the database itself.

mod comparison;

fn main() {}
