//! The kinds of the API group `ark.mckinsey.com`: types, schemas, defaulting and
//! validation. Everything here is pure; what must be looked up is passed in.
//!
//! Kubernetes stores objects without a `spec`, so each kind decodes one as an empty spec
//! and one such object does not stop a watch. The derive takes serde attributes only
//! behind `cfg_attr`.

pub mod a2a_server;
pub mod a2a_task;
pub mod admission;
pub mod agent;
pub mod annotations;
pub mod ark_config;
mod crds;
pub mod duration;
pub mod execution_engine;
mod field_error;
pub mod json;
pub mod kinds;
pub mod labels;
pub mod mcp_server;
pub mod memory;
pub mod model;
pub mod names;
pub mod object_meta;
pub mod query;
mod schema;
pub mod shared;
pub mod structural;
pub mod team;
pub mod tool;
pub mod trace;

pub use a2a_server::*;
pub use a2a_task::*;
pub use agent::*;
pub use ark_config::*;
pub use crds::crds;
pub use execution_engine::*;
pub use field_error::FieldError;
pub use mcp_server::*;
pub use memory::*;
pub use model::*;
pub use query::*;
pub use shared::*;
pub use team::*;
pub use tool::*;

/// The API group of all kinds.
pub const GROUP: &str = "ark.mckinsey.com";
