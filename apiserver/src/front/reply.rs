//! Answers, before they become HTTP responses.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::protobuf;
use crate::render::{Rendered, Renderer};
use crate::status::{Result, Status};

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// Warnings of one answer together, in bytes; more are left out.
const WARNINGS_MAX: usize = 4096;

/// An answer.
pub(crate) struct Reply {
    pub(crate) code: u16,
    content: Content,
    warnings: Vec<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

enum Content {
    Object(Rendered),
    Text(Cow<'static, str>),
    /// Media type and what is sent.
    Stream(&'static str, mpsc::Receiver<Bytes>),
}

impl Reply {
    fn new(code: u16, content: Content) -> Self {
        Self {
            code,
            content,
            warnings: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn ok() -> Self {
        Self::json(200, String::new())
    }

    pub(crate) fn created() -> Self {
        Self::json(201, String::new())
    }

    pub(crate) fn json(code: u16, text: String) -> Self {
        Self::object(code, Rendered::Json(text))
    }

    pub(crate) fn object(code: u16, object: Rendered) -> Self {
        Self::new(code, Content::Object(object))
    }

    pub(crate) fn value(code: u16, value: &Value) -> Self {
        Self::json(code, value.to_string())
    }

    pub(crate) fn text(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code, Content::Text(text.into()))
    }

    /// Events as they come, until the sender is dropped.
    pub(crate) fn stream(type_: &'static str, events: mpsc::Receiver<Bytes>) -> Self {
        Self::new(200, Content::Stream(type_, events))
    }

    /// The answer where nothing is served: plain text, which clients read as "no such resource".
    pub(crate) fn no_such_page() -> Self {
        Self::text(404, "404 page not found\n")
    }

    pub(crate) fn error(status: &Status) -> Self {
        let mut reply = Self::value(status.code, &status.to_value());
        if let Some(seconds) = status.retry_after {
            reply = reply.with_header(RETRY_AFTER, &seconds.to_string());
        }
        reply
    }

    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value);
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// The same answer with an object in the representation that the client wants.
    pub(crate) fn rendered(mut self, renderer: Renderer, text: String) -> Result<Self> {
        self.content = Content::Object(renderer.single(Cow::Owned(text))?);
        Ok(self)
    }

    pub(crate) fn into_response(self, pretty: bool, audit_id: &str) -> Response<Body> {
        let (type_, body) = match self.content {
            Content::Object(Rendered::Json(text)) if pretty => {
                ("application/json", whole(indented(text)))
            }
            Content::Object(Rendered::Json(text)) => ("application/json", whole(text)),
            Content::Object(Rendered::Yaml(text)) => ("application/yaml", whole(text)),
            Content::Object(Rendered::Protobuf(bytes)) => (protobuf::MEDIA_TYPE, whole(bytes)),
            Content::Text(text) => ("text/plain; charset=utf-8", whole(text.into_owned())),
            Content::Stream(type_, events) => {
                let frames = ReceiverStream::new(events).map(|event| Ok(Frame::data(event)));
                (type_, BodyExt::boxed(StreamBody::new(frames)))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(type_));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        if let Ok(id) = HeaderValue::from_str(audit_id) {
            headers.insert("audit-id", id);
        }
        for warning in warning_headers(self.warnings) {
            headers.append(WARNING, warning);
        }
        response
    }
}

fn whole(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).boxed()
}

fn indented(text: String) -> String {
    serde_json::from_str::<Value>(&text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .map_or(text, |pretty| pretty + "\n")
}

/// Each warning once, as RFC 7234 writes it.
fn warning_headers(warnings: Vec<String>) -> Vec<HeaderValue> {
    let mut seen = Vec::new();
    let mut size = 0;
    for warning in warnings {
        let text: String = warning
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let header = format!("299 - \"{quoted}\"");
        size += header.len();
        if size > WARNINGS_MAX {
            break;
        }
        if !seen.contains(&header) {
            seen.push(header);
        }
    }
    let values = seen
        .iter()
        .map(|text| HeaderValue::from_bytes(text.as_bytes()));
    values.filter_map(Result::<_, _>::ok).collect()
}

/// How long an answer may take that is not a watch.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_not_repeated() {
        let twice = vec!["unknown field \"spec.zz\"".to_owned(); 2];
        let headers = warning_headers(twice);
        assert_eq!(headers, [r#"299 - "unknown field \"spec.zz\"""#]);
        let many = (0..1000).map(|n| format!("warning number {n}")).collect();
        assert!(warning_headers(many).len() < 300);
    }
}
