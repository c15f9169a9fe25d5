//! The API server over real HTTPS, against a real Postgres.

mod access;
mod database;
mod deletion;
mod errors;
mod harness;
mod kubectl;
mod lists;
mod watches;
mod writes;
