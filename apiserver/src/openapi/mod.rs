//! OpenAPI v3: kubectl reads it before it creates or applies anything, and for `explain`.

mod messages;
mod parameters;
mod schemas;

use std::collections::BTreeMap;

use http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, LOCATION};
use serde_json::{Map, Value, json};

use self::parameters::parameters;
use self::schemas::{STATUS, reference, schema_name, schemas};
use crate::catalog::{self, GroupVersion, Resource};
use crate::front::document::Document;
use crate::front::options::Query;
use crate::front::reply::Reply;
use crate::protobuf::schema;

/// The documents of all group-versions; made once, at start.
pub(crate) struct OpenApi {
    root: Document,
    by_path: BTreeMap<String, Document>,
}

impl OpenApi {
    pub(crate) fn generate() -> Self {
        let by_path: BTreeMap<_, _> = catalog::group_versions()
            .iter()
            .map(|gv| (path_of(gv), Document::new(&document(gv))))
            .collect();
        let paths: Map<_, _> = by_path
            .iter()
            .map(|(path, document)| {
                let url = format!("/openapi/v3/{path}?hash={}", document.hash);
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        Self {
            root: Document::new(&json!({"paths": paths})),
            by_path,
        }
    }

    /// `/openapi/v3`
    pub(crate) fn root(&self, headers: &HeaderMap) -> Reply {
        self.root.answer(headers)
    }

    /// `/openapi/v3/apis/GROUP/VERSION`, for ever cacheable under its hash.
    pub(crate) fn group_version(
        &self,
        of: &GroupVersion,
        query: &Query,
        headers: &HeaderMap,
    ) -> Reply {
        let path = path_of(of);
        let Some(document) = self.by_path.get(&path) else {
            return Reply::no_such_page();
        };
        match query.get("hash") {
            None => document.answer(headers),
            Some(hash) if hash.trim_matches('"') == document.hash => {
                let expires = chrono::Utc::now() + chrono::TimeDelta::days(365);
                let expires = expires.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                document
                    .answer(headers)
                    .with_header(CACHE_CONTROL, "public, immutable")
                    .with_header(EXPIRES, &expires)
            }
            Some(_) => Reply::json(301, String::new()).with_header(
                LOCATION,
                &format!("/openapi/v3/{path}?hash={}", document.hash),
            ),
        }
    }
}

fn path_of(of: &GroupVersion) -> String {
    match of.group.as_str() {
        "" => format!("api/{}", of.version),
        group => format!("apis/{group}/{}", of.version),
    }
}

fn document(of: &GroupVersion) -> Value {
    let served: Vec<&Resource> = catalog::resources()
        .iter()
        .filter(|r| r.group == of.group && r.version == of.version)
        .collect();
    let mut paths = Map::new();
    for resource in &served {
        add_paths(&mut paths, &path_of(of), resource);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Ark", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas(&served)},
    })
}

fn add_paths(paths: &mut Map<String, Value>, base: &str, resource: &Resource) {
    let plural = &resource.plural;
    let all = format!("/{base}/{plural}");
    if resource.is_review() {
        paths.insert(all, item(resource, &[], &["post"]));
        return;
    }
    let (collection, mut scope) = if resource.namespaced {
        paths.insert(all, item(resource, &[], &["list"]));
        let within = format!("/{base}/namespaces/{{namespace}}/{plural}");
        (within, vec!["namespace"])
    } else {
        (all, Vec::new())
    };
    paths.insert(
        collection.clone(),
        item(resource, &scope, &["list", "post"]),
    );
    scope.push("name");
    let object = format!("{collection}/{{name}}");
    if resource.has_status() {
        let status = format!("{object}/status");
        paths.insert(status, item(resource, &scope, &["get", "put", "patch"]));
    }
    paths.insert(
        object,
        item(resource, &scope, &["get", "put", "patch", "delete"]),
    );
}

/// The operations on one path; `scope` names its placeholders.
fn item(resource: &Resource, scope: &[&str], actions: &[&str]) -> Value {
    let placeholders = scope.iter().map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
    );
    let mut item = Map::new();
    item.insert("parameters".into(), placeholders.collect());
    for action in actions {
        let method = if *action == "list" { "get" } else { action };
        item.insert(method.into(), operation(resource, action, scope));
    }
    Value::Object(item)
}

fn operation(resource: &Resource, action: &str, scope: &[&str]) -> Value {
    let name = schema_name(resource, &resource.kind);
    let answer = match action {
        "list" => reference(&schema_name(resource, &resource.list_kind())),
        "delete" => reference(STATUS),
        _ => reference(&name),
    };
    let scoped = if scope.contains(&"namespace") {
        "Namespaced"
    } else {
        ""
    };
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let mut operation = json!({
        "operationId": format!("{action}{}{scoped}{}", pascal(&resource.version), resource.kind),
        "tags": [format!("{}_{}", resource.group.replace('.', "_"), resource.version)],
        "parameters": parameters(action),
        "responses": {"200": {"description": "OK", "content": content(answer)}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": resource.group, "version": resource.version, "kind": resource.kind,
        },
    });
    let body = match action {
        "post" | "put" => Some(content(reference(&name))),
        "patch" => Some(patches(resource)),
        _ => None,
    };
    if let Some(body) = body {
        operation["requestBody"] = json!({"content": body, "required": true});
    }
    operation
}

/// The bodies that a patch may have.
fn patches(resource: &Resource) -> Value {
    let mut bodies = json!({
        "application/json-patch+json": {"schema": {"type": "array", "items": {"type": "object"}}},
        "application/merge-patch+json": {"schema": {"type": "object"}},
    });
    if schema::of(resource).is_some() {
        bodies["application/strategic-merge-patch+json"] = json!({"schema": {"type": "object"}});
    }
    bodies
}

fn pascal(version: &str) -> String {
    let mut letters = version.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use http::header::IF_NONE_MATCH;

    use super::*;

    #[test]
    fn every_patch_takes_field_validation_and_every_reference_resolves() {
        for of in catalog::group_versions() {
            let document = document(&of);
            let text = document.to_string();
            let known = document["components"]["schemas"].as_object().unwrap();
            for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(known.contains_key(name), "{name} in {of:?}");
            }
            for (path, item) in document["paths"].as_object().unwrap() {
                let Some(patch) = item.get("patch") else {
                    continue;
                };
                let parameters = patch["parameters"].as_array().unwrap();
                let has = parameters.iter().any(|p| p["name"] == "fieldValidation");
                assert!(has, "{path}");
            }
        }
    }

    #[test]
    fn documents_are_found_by_their_hash_and_cached() {
        let openapi = OpenApi::generate();
        let of = GroupVersion {
            group: ark_api::GROUP.into(),
            version: "v1alpha1".into(),
        };
        let document = &openapi.by_path["apis/ark.mckinsey.com/v1alpha1"];
        assert_eq!(document.hash.len(), 128);
        let with = |hash: &str| Query::parse(Some(&format!("hash={hash}")));
        let right = openapi.group_version(&of, &with(&document.hash), &HeaderMap::new());
        assert_eq!(right.code, 200);
        let wrong = openapi.group_version(&of, &with("AB"), &HeaderMap::new());
        assert_eq!(wrong.code, 301);
        let mut known = HeaderMap::new();
        known.insert(IF_NONE_MATCH, document.etag().parse().unwrap());
        assert_eq!(
            openapi.group_version(&of, &Query::default(), &known).code,
            304
        );
    }
}
