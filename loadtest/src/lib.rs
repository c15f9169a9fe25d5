//! What puts load on Ark, what measures it, and what stands in for the outside world while it runs.

pub mod api_bench;
mod database;
pub mod drain;
pub mod measure;
mod processes;
pub mod provider;
pub mod queue_bench;
pub mod scenario;
