//! Which representation a client accepts, and which media type it sent.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};

use crate::front::options::Query;
use crate::status::{Result, Status};

/// The representation of objects in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// The object itself.
    Object,
    /// A Table of `meta.k8s.io`, in that version.
    Table(&'static str),
    /// Only the metadata.
    Metadata,
}

/// The first representation in the client's order that the server has; 406 if there is none.
pub(crate) fn view(headers: &HeaderMap) -> Result<View> {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if accept.trim().is_empty() {
        return Ok(View::Object);
    }
    accept
        .split(',')
        .find_map(clause)
        .ok_or_else(Status::not_acceptable)
}

fn clause(clause: &str) -> Option<View> {
    let mut parts = clause.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let (mut kind, mut group, mut version) = ("", "", "");
    for (key, value) in parts.filter_map(|p| p.split_once('=')) {
        match key {
            "as" => kind = value,
            "g" => group = value,
            "v" => version = value,
            _ => {}
        }
    }
    match (kind, group, version) {
        ("", ..) => Some(View::Object),
        ("Table", "meta.k8s.io", "v1") => Some(View::Table("v1")),
        ("Table", "meta.k8s.io", "v1beta1") => Some(View::Table("v1beta1")),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
            Some(View::Metadata)
        }
        _ => None,
    }
}

/// The request's media type without parameters; JSON if it names none.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim() {
        "" => "application/json",
        given => given,
    }
}

/// Refuses a body that is not JSON, naming what is accepted.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<()> {
    // curl -d says that it sends a form; the reference server refuses that as well.
    if content_type(headers) == "application/json" {
        return Ok(());
    }
    Err(Status::unsupported_media_type("application/json"))
}

/// Whether a human reads the answer: then it is indented.
pub(crate) fn pretty(headers: &HeaderMap, query: &Query) -> bool {
    if query.get("pretty").is_some() {
        return query.flag("pretty");
    }
    let agent = headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|human| agent.starts_with(human))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> Result<View> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().unwrap());
        view(&headers)
    }

    #[test]
    fn the_first_known_clause_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accept(kubectl).unwrap(), View::Table("v1"));
        let garbage_collector = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(accept(garbage_collector).unwrap(), View::Metadata);
        let discovery =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(accept(discovery).unwrap(), View::Object);
        assert_eq!(accept("application/json, */*").unwrap(), View::Object);
        assert_eq!(
            accept("application/vnd.kubernetes.protobuf")
                .unwrap_err()
                .code,
            406
        );
        assert_eq!(accept("application/xml").unwrap_err().code, 406);
    }
}
