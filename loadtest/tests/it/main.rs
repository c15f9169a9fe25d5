//! The fake provider over real HTTP, as clients of the APIs that it speaks see it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod anthropic;
mod chat;
mod client;
mod faults;
mod limits;
mod requests;
mod tools;
