//! The API server over real HTTPS, against a real Postgres.

// Helpers outside of test functions may panic, too.
#![allow(clippy::unwrap_used)]

mod access;
mod compaction;
mod database;
mod deletion;
mod errors;
mod harness;
mod kubectl;
mod lists;
mod reference;
mod replicas;
mod representations;
mod watches;
mod writes;
