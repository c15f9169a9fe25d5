//! Chat completions of OpenAI, of Azure and of the many servers that speak their protocol.

mod chunk;
mod reply;
mod request;

pub(super) use reply::Assembly;
pub(super) use request::body;
