//! What puts load on Ark and what stands in for the outside world while it runs.

pub mod provider;
