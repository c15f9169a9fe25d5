//! The worker against a real Postgres and a provider over real HTTP.
#![allow(clippy::unwrap_used, missing_docs)]

mod bench;
mod kubernetes;

mod answers;
mod documentation;
mod ends;
mod failures;
mod faults;
mod outage;
mod past;
mod providers;
mod reports;
mod structured;
mod takeover;
mod traces;
