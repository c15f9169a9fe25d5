//! The fake provider over real HTTP, as a client of OpenAI's API sees it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod chat;
mod client;
mod faults;
mod requests;
mod tools;
