//! The Kubernetes API server of Ark: all Ark kinds, and the core kinds they need, kept in Postgres.
//!
//! [`run`] serves them alone, without a cluster, over HTTPS with credentials of its own. A request goes through
//! `handle` and `route` to `create`, `read`, `update`, `delete` or `watch`; a write through `decode`, `admit` and
//! `commit`; a change through `follower` to every `watch`.

mod admit;
mod catalog;
mod certificate;
mod commit;
mod core_kinds;
mod create;
mod credentials;
mod decode;
mod delete;
mod discovery;
mod error;
mod events;
mod follower;
mod handle;
mod health;
mod jsonpath;
mod lookup;
mod metrics;
mod namespaces;
mod negotiate;
mod object;
mod openapi;
mod openapi_schemas;
mod options;
mod patch;
mod read;
mod render;
mod reply;
mod request;
mod reviews;
mod route;
mod run;
mod seal;
mod selector;
mod serve;
mod server;
mod status;
mod table;
mod update;
mod watch;

pub use error::Error;
pub use metrics::Metrics;
pub use run::{Config, PortChoice, Serving, run};
