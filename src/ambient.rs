//! The only reads of wall time and randomness.
