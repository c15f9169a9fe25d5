//! The dispatcher against a real Kubernetes server that has CRDs and nothing else, and a real Postgres.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod queries;
mod setup;
