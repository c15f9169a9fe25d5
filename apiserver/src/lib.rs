//! The Kubernetes API server of Ark: all Ark kinds, and the core kinds they need, kept in Postgres.
//!
//! [`run`] serves them alone, without a cluster, over HTTPS with credentials of its own. A request comes through `front`
//! to its file in `verbs`; what it writes goes through `admit` and `storage::commit`; every change goes through
//! `storage::follower` to each `verbs::watch`; what is answered goes through `render`. Core kinds also come and go as
//! `protobuf`, whose messages are at the same time the types that their JSON is held against.

mod admit;
mod catalog;
mod credentials;
mod discovery;
mod error;
mod front;
mod metrics;
mod namespaces;
mod object;
mod openapi;
mod protobuf;
mod render;
mod reviews;
mod run;
mod selector;
mod server;
mod status;
mod storage;
mod trace;
mod verbs;

pub use error::Error;
pub use metrics::Metrics;
pub use run::{Config, PortChoice, Serving, run};
