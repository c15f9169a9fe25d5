//! A received request, as the handlers see it.

use bytes::Bytes;
use http::{HeaderMap, Method};
use tracing::Span;

use crate::catalog::Resource;
use crate::front::authenticate::User;
use crate::front::negotiate;
use crate::front::options::Query;
use crate::render::Renderer;
use crate::render::table::Include;
use crate::status::Result;

/// The parts of a request; the body is read whole.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: User,
    pub(crate) span: Span,
}

impl Request {
    /// How the client wants this resource's objects.
    pub(crate) fn renderer(&self, resource: &'static Resource) -> Result<Renderer> {
        Ok(Renderer {
            resource,
            accepted: negotiate::accepted(resource, self.is_watch(), &self.headers)?,
            include: Include::parse(self.query.get("includeObject"))?,
        })
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.method == Method::GET && self.query.flag("watch")
    }

    pub(crate) fn is_mutating(&self) -> bool {
        ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&self.method)
    }

    /// The verb that metrics and error messages name.
    pub(crate) fn verb(&self, collection: bool) -> &'static str {
        match self.method.as_str() {
            "GET" if collection && self.is_watch() => "watch",
            "GET" | "HEAD" if collection => "list",
            "GET" | "HEAD" => "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if collection => "deletecollection",
            "DELETE" => "delete",
            _ => "other",
        }
    }
}
