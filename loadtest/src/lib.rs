//! What puts load on Ark, what measures it, and what stands in for the outside world while it runs.

mod database;
pub mod drain;
pub mod measure;
pub mod provider;
pub mod queue_bench;
pub mod scenario;
