//! Kubernetes `Status` errors: what a client gets when a request cannot be served.
//!
//! Reasons, codes, details and sentences follow the Kubernetes custom-resource server, because clients decide by them.

pub(crate) use ark_api::structural::FieldError;
use serde_json::{Map, Value, json};

use crate::catalog::Resource;

/// A request that failed, ready to be sent as a `Status` object.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
    pub(crate) retry_after: Option<u32>,
    /// A token for going on with a list whose own has expired.
    pub(crate) continue_token: Option<String>,
    /// What the operator should see in the log, never sent to the client.
    pub(crate) internal: Option<String>,
}

/// The result of whatever may end as a [`Status`].
pub(crate) type Result<T, E = Box<Status>> = std::result::Result<T, E>;

impl Status {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            code,
            reason,
            message: message.into(),
            details: None,
            retry_after: None,
            continue_token: None,
            internal: None,
        })
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Box<Self> {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Box<Self> {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Box<Self> {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).about(&resource.group, &resource.plural, name)
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Box<Self> {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(&resource.group, &resource.plural, name)
    }

    /// A condition of the request that the object does not fulfil.
    pub(crate) fn stale(resource: &Resource, name: &str, why: &str) -> Box<Self> {
        Self::conflict(
            &resource.qualified(),
            &resource.group,
            &resource.plural,
            name,
            why,
        )
    }

    pub(crate) fn modified(resource: &Resource, name: &str) -> Box<Self> {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::stale(resource, name, why)
    }

    /// A conflict as the validation of preconditions words it: it names the kind, not the resource.
    pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Box<Self> {
        Self::conflict(
            &resource.qualified_kind(),
            &resource.group,
            &resource.kind,
            name,
            why,
        )
    }

    fn conflict(what: &str, group: &str, kind: &str, name: &str, why: &str) -> Box<Self> {
        let message = format!("Operation cannot be fulfilled on {what} {name:?}: {why}");
        Self::new(409, "Conflict", message).about(group, kind, name)
    }

    /// An object that breaks its schema or a rule; one cause per field.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[FieldError]) -> Box<Self> {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let each: Vec<_> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let list = match each.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{qualified} {name:?} is invalid: {list}");
        Self::new(422, "Invalid", message)
            .about(group, kind, name)
            .with_causes(causes)
    }

    /// Query parameters that break their rules; `kind` is `ListOptions`, `CreateOptions` and so on.
    pub(crate) fn invalid_options(kind: &str, cause: FieldError) -> Box<Self> {
        Self::invalid("meta.k8s.io", kind, "", &[cause])
    }

    pub(crate) fn method_not_allowed(resource: &Resource, verb: &str) -> Box<Self> {
        let what = resource.qualified();
        let message = format!("{verb} is not supported on resources of kind {what:?}");
        Self::new(405, "MethodNotAllowed", message).about(&resource.group, &resource.plural, "")
    }

    /// A body in a form that is not read; `protobuf` says whether that would have been.
    pub(crate) fn unsupported_media_type(protobuf: bool) -> Box<Self> {
        let more = if protobuf {
            ", application/vnd.kubernetes.protobuf"
        } else {
            ""
        };
        Self::unknown_format(&format!("application/json, application/yaml{more}"))
    }

    /// A body whose media type is none of the accepted ones.
    pub(crate) fn unknown_format(accepted: &str) -> Box<Self> {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn not_acceptable() -> Box<Self> {
        Self::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )
    }

    pub(crate) fn too_large(limit: usize) -> Box<Self> {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Box<Self> {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Box<Self> {
        let mut status = Self::new(504, "Timeout", message);
        status.retry_after = Some(1);
        status
    }

    /// A version that this server has not reached yet.
    pub(crate) fn version_too_large(wanted: i64, current: i64) -> Box<Self> {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut status = Self::timeout(message);
        status.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }));
        status
    }

    pub(crate) fn too_many_requests() -> Box<Self> {
        let message = "too many requests, please try again later";
        let mut status = Self::new(429, "TooManyRequests", message);
        status.retry_after = Some(1);
        status
    }

    pub(crate) fn unavailable(message: &str) -> Box<Self> {
        let mut status = Self::new(503, "ServiceUnavailable", message);
        status.retry_after = Some(1);
        status
    }

    pub(crate) fn internal(operator_text: impl std::fmt::Display) -> Box<Self> {
        let message =
            "an error on the server prevented the request from succeeding; its log has the cause";
        let mut status = Self::new(500, "InternalError", message);
        status.internal = Some(operator_text.to_string());
        status
    }

    fn about(mut self: Box<Self>, group: &str, kind: &str, name: &str) -> Box<Self> {
        let mut details = Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.into());
            }
        }
        self.details = Some(Value::Object(details));
        self
    }

    fn with_causes(mut self: Box<Self>, causes: &[FieldError]) -> Box<Self> {
        let causes: Vec<_> = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        if let Some(details) = &mut self.details {
            details["causes"] = causes.into();
        }
        self
    }

    /// The `Status` object as Kubernetes sends it.
    pub(crate) fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".into(), token.as_str().into());
        }
        let mut object = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            object["reason"] = self.reason.into();
        }
        let mut details = self.details.clone();
        if let Some(seconds) = self.retry_after {
            let details = details.get_or_insert_with(|| json!({}));
            details["retryAfterSeconds"] = seconds.into();
        }
        if let Some(details) = details {
            object["details"] = details;
        }
        object
    }
}

impl From<ark_store::Error> for Box<Status> {
    /// Trouble with the database is never "not found": clients act on absence.
    fn from(error: ark_store::Error) -> Self {
        if error.is_unavailable() {
            let mut status =
                Status::unavailable("the database behind this server cannot be reached now; retry");
            let why = std::error::Error::source(&error).map(|source| format!(": {source}"));
            status.internal = Some(format!("{error}{}", why.unwrap_or_default()));
            return status;
        }
        Status::internal(error)
    }
}

impl From<ark_api::labels::SelectorError> for Box<Status> {
    fn from(error: ark_api::labels::SelectorError) -> Self {
        Status::bad_request(error.to_string())
    }
}

/// The answer to a deletion that left nothing behind.
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = Map::new();
    let fields = [
        ("name", name),
        ("group", &resource.group),
        ("kind", &resource.plural),
        ("uid", uid),
    ];
    for (key, value) in fields {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })
}
