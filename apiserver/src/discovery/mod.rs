//! Discovery: which groups, versions and resources there are.

pub(crate) mod aggregated;

use serde_json::{Value, json};

use crate::catalog::{self, GroupVersion, Resource, Rules};

/// `/api`
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(crate) fn groups() -> Value {
    let mut names: Vec<String> = catalog::group_versions()
        .into_iter()
        .map(|g| g.group)
        .collect();
    names.dedup();
    let groups: Vec<Value> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| described(name))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(crate) fn group(name: &str) -> Value {
    let mut group = described(name);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    group
}

fn described(name: &str) -> Value {
    let versions: Vec<Value> = catalog::group_versions()
        .into_iter()
        .filter(|gv| gv.group == name)
        .map(|gv| {
            let full = catalog::api_version(&gv.group, &gv.version);
            json!({"groupVersion": full, "version": gv.version})
        })
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(crate) fn resources(of: &GroupVersion) -> Value {
    let served = catalog::resources()
        .iter()
        .filter(|r| r.group == of.group && r.version == of.version);
    let entries: Vec<Value> = served.flat_map(entries).collect();
    json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": catalog::api_version(&of.group, &of.version), "resources": entries,
    })
}

fn entries(resource: &Resource) -> Vec<Value> {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs(),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = resource.short_names.into();
    }
    let mut entries = vec![entry];
    for sub in subresources(resource) {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
            "namespaced": resource.namespaced, "kind": sub.kind, "verbs": sub.verbs,
        });
        if sub.group != resource.group {
            entry["group"] = sub.group.into();
            entry["version"] = sub.version.into();
        }
        entries.push(entry);
    }
    entries
}

/// What is served below an object.
struct Subresource<'r> {
    name: &'static str,
    group: &'r str,
    version: &'r str,
    kind: &'r str,
    verbs: &'static [&'static str],
}

fn subresources(resource: &Resource) -> Vec<Subresource<'_>> {
    let mut all = Vec::new();
    if resource.has_status() {
        all.push(Subresource {
            name: "status",
            group: &resource.group,
            version: &resource.version,
            kind: &resource.kind,
            verbs: &["get", "patch", "update"],
        });
    }
    if matches!(resource.rules, Rules::ServiceAccount) {
        all.push(Subresource {
            name: "token",
            group: "authentication.k8s.io",
            version: "v1",
            kind: "TokenRequest",
            verbs: &["create"],
        });
    }
    all
}
