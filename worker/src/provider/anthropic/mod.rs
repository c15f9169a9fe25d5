//! Anthropic's Messages API (version 2023-06-01), as <https://docs.anthropic.com/en/api/messages> documents it.

mod event;
mod reply;
mod request;

pub(super) use reply::Assembly;
pub(super) use request::body;
