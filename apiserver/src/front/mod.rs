//! From a TCP connection to a handler and back: TLS, HTTP, routes, options, answers.

pub(crate) mod authenticate;
pub(crate) mod delete_options;
pub(crate) mod document;
pub(crate) mod handle;
pub(crate) mod health;
pub(crate) mod negotiate;
pub(crate) mod options;
pub(crate) mod page_token;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod route;
pub(crate) mod serve;
