//! The system as processes: what it promises, under accidents.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod accidents;
mod charts;
mod commands;
mod crds;
mod dashboards;
mod deployment;
mod graph;
mod input;
mod kubectl;
mod leader;
mod loadtest;
mod scale;
mod system;
mod traces;
mod tutorial;
