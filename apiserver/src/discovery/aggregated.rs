//! Aggregated discovery: all groups, versions and resources in one document of `apidiscovery.k8s.io/v2`.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::subresources;
use crate::catalog::{self, Resource};
use crate::front::document::Document;
use crate::front::reply::Reply;

const MEDIA_TYPE: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The documents of `/api` and `/apis`; made once, at start.
pub(crate) struct Aggregated {
    core: Document,
    groups: Document,
}

impl Aggregated {
    pub(crate) fn generate() -> Self {
        let mut names: Vec<String> = catalog::group_versions()
            .into_iter()
            .map(|gv| gv.group)
            .collect();
        names.dedup();
        let (core, others): (Vec<_>, Vec<_>) = names.into_iter().partition(String::is_empty);
        Self {
            core: list(&core),
            groups: list(&others),
        }
    }

    /// `/api`
    pub(crate) fn core(&self, headers: &HeaderMap) -> Reply {
        typed(self.core.answer(headers))
    }

    /// `/apis`
    pub(crate) fn groups(&self, headers: &HeaderMap) -> Reply {
        typed(self.groups.answer(headers))
    }
}

/// Clients tell this document from the older ones by the parameters of its media type.
fn typed(reply: Reply) -> Reply {
    reply.with_header(CONTENT_TYPE, MEDIA_TYPE)
}

fn list(groups: &[String]) -> Document {
    let items: Vec<Value> = groups.iter().map(|name| group(name)).collect();
    Document::new(&json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    }))
}

fn group(name: &str) -> Value {
    let versions = catalog::group_versions()
        .into_iter()
        .filter(|gv| gv.group == name);
    let versions: Vec<Value> = versions
        .map(|gv| {
            let served = catalog::resources()
                .iter()
                .filter(|r| r.group == gv.group && r.version == gv.version);
            let resources: Vec<Value> = served.map(resource).collect();
            json!({"version": gv.version, "freshness": "Current", "resources": resources})
        })
        .collect();
    let metadata = match name {
        "" => json!({"creationTimestamp": null}),
        name => json!({"name": name, "creationTimestamp": null}),
    };
    json!({"metadata": metadata, "versions": versions})
}

fn resource(resource: &Resource) -> Value {
    let mut entry = json!({
        "resource": resource.plural, "singularResource": resource.singular,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "verbs": resource.verbs(),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.into();
    }
    let subresources: Vec<Value> = subresources(resource)
        .iter()
        .map(|sub| {
            json!({
                "subresource": sub.name, "verbs": sub.verbs,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
            })
        })
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = subresources.into();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_and_subresource_is_listed() {
        let mut resources = 0;
        for name in ["", ark_api::GROUP, "events.k8s.io"] {
            let group = group(name);
            for version in group["versions"].as_array().unwrap() {
                for entry in version["resources"].as_array().unwrap() {
                    resources += 1;
                    assert!(entry["responseKind"]["kind"].is_string());
                    let has_status = entry["subresources"][0]["subresource"] == "status";
                    assert_eq!(has_status, name == ark_api::GROUP, "{entry}");
                }
            }
        }
        assert_eq!(resources, 11 + 6 + 1);
    }
}
