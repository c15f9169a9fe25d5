//! Which representation a client accepts, and which media type it sent.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};

use crate::catalog::Resource;
use crate::front::options::Query;
use crate::protobuf::{self, schema};
use crate::status::{Result, Status};

/// The representation of objects in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// The object itself.
    Object,
    /// A Table of `meta.k8s.io`, in that version.
    Table(&'static str),
    /// Only the metadata, in that version of `meta.k8s.io`.
    Metadata(&'static str),
}

/// How an answer is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Yaml,
    /// Kubernetes' protobuf, which the core kinds have, and the metadata of all kinds.
    Protobuf,
}

/// What a client takes as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) view: View,
    pub(crate) encoding: Encoding,
}

/// The first representation in the client's order that the server has of this resource; 406 if there is none.
pub(crate) fn accepted(resource: &Resource, watch: bool, headers: &HeaderMap) -> Result<Accepted> {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .filter(|accept| !accept.trim().is_empty())
        .unwrap_or("application/json");
    accept
        .split(',')
        .filter_map(clause)
        .find(|accepted| is_served(resource, watch, *accepted))
        .ok_or_else(Status::not_acceptable)
}

fn is_served(resource: &Resource, watch: bool, accepted: Accepted) -> bool {
    match (accepted.encoding, accepted.view) {
        (Encoding::Json, _) => true,
        // YAML has no form for a stream of events.
        (Encoding::Yaml, _) => !watch,
        (Encoding::Protobuf, View::Table(_)) => false,
        (Encoding::Protobuf, View::Metadata(_)) => true,
        (Encoding::Protobuf, View::Object) => schema::of(resource).is_some(),
    }
}

fn clause(clause: &str) -> Option<Accepted> {
    let mut parts = clause.split(';').map(str::trim);
    let encoding = match parts.next()? {
        "application/json" | "application/*" | "*/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        protobuf::MEDIA_TYPE => Encoding::Protobuf,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = ("", "", "");
    for (key, value) in parts.filter_map(|p| p.split_once('=')) {
        match key {
            "as" => kind = value,
            "g" => group = value,
            "v" => version = value,
            _ => {}
        }
    }
    let view = match (kind, group, version) {
        ("", ..) => View::Object,
        ("Table", "meta.k8s.io", "v1") => View::Table("v1"),
        ("Table", "meta.k8s.io", "v1beta1") => View::Table("v1beta1"),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
            View::Metadata("v1")
        }
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1beta1") => {
            View::Metadata("v1beta1")
        }
        _ => return None,
    };
    Some(Accepted { view, encoding })
}

/// Whether the client wants all groups and their resources in one document of `apidiscovery.k8s.io/v2`.
pub(crate) fn wants_aggregated_discovery(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_aggregated = |clause: &str| {
        let parts: Vec<&str> = clause.split(';').map(str::trim).collect();
        ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|part| parts.contains(part))
    };
    let plain = |clause: &str| ["application/json", "*/*"].contains(&clause.trim());
    let first = accept.split(',').find(|c| is_aggregated(c) || plain(c));
    first.is_some_and(is_aggregated)
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
    use crate::catalog;

    fn accept(plural: &str, text: &str) -> Result<(View, Encoding)> {
        let resource = catalog::resources()
            .iter()
            .find(|r| r.plural == plural)
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().unwrap());
        accepted(resource, false, &headers).map(|a| (a.view, a.encoding))
    }

    #[test]
    fn the_first_known_clause_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(
            accept("queries", kubectl).unwrap(),
            (View::Table("v1"), Encoding::Json)
        );
        let typed = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(
            accept("secrets", typed).unwrap(),
            (View::Object, Encoding::Protobuf)
        );
        assert_eq!(
            accept("queries", typed).unwrap(),
            (View::Object, Encoding::Json)
        );
        let garbage_collector = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(
            accept("queries", garbage_collector).unwrap(),
            (View::Metadata("v1"), Encoding::Protobuf)
        );
        assert_eq!(
            accept("queries", "application/json, */*").unwrap(),
            (View::Object, Encoding::Json)
        );
        for refused in ["application/vnd.kubernetes.protobuf", "application/xml"] {
            assert_eq!(accept("queries", refused).unwrap_err().code, 406);
        }
    }

    #[test]
    fn discovery_is_aggregated_for_who_asks_first_for_it() {
        let wants = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, text.parse().unwrap());
            wants_aggregated_discovery(&headers)
        };
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert!(wants(&format!("{v2},application/json")));
        assert!(!wants(&format!("application/json,{v2}")));
        assert!(!wants(&v2.replace("v=v2", "v=v2beta1")));
    }
}
