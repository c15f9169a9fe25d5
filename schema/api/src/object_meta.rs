//! ObjectMeta: its known fields, and the checks of Kubernetes on it.

mod types;

use serde_json::{Map, Value, json};

pub use types::check_types;

use crate::field_error::FieldError;
use crate::names::{dns_label_errors, label_value_errors, qualified_name_errors, subdomain_errors};

/// Sum of the sizes of all annotations' keys and values, in bytes.
const ANNOTATIONS_MAX: u64 = 256 * 1024;

const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
const OWNER_FIELDS: [&str; 6] = [
    "apiVersion",
    "blockOwnerDeletion",
    "controller",
    "kind",
    "name",
    "uid",
];

/// Removes what ObjectMeta does not know; returns the paths, such as `metadata.foo`.
pub fn prune(metadata: &mut Value) -> Vec<String> {
    let Some(metadata) = metadata.as_object_mut() else {
        return Vec::new();
    };
    let mut dropped = retain_fields(metadata, &FIELDS, "metadata");
    let owners = metadata
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut);
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        if let Some(owner) = owner.as_object_mut() {
            let path = format!("metadata.ownerReferences[{index}]");
            dropped.extend(retain_fields(owner, &OWNER_FIELDS, &path));
        }
    }
    dropped
}

fn retain_fields(object: &mut Map<String, Value>, known: &[&str], path: &str) -> Vec<String> {
    let mut dropped = Vec::new();
    object.retain(|name, _| {
        let keep = known.contains(&name.as_str());
        if !keep {
            dropped.push(format!("{path}.{name}"));
        }
        keep
    });
    dropped
}

/// Checks an object's `metadata` as Kubernetes does for custom resources, after
/// `generateName` was turned into a name.
///
/// `namespaced` says whether the kind lives in namespaces.
pub fn validate(metadata: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate_names(metadata, namespaced, &mut errors);
    if metadata["generation"].as_i64().is_some_and(|g| g < 0) {
        errors.push(FieldError::invalid(
            "metadata.generation",
            &metadata["generation"],
            "must be greater than or equal to 0",
        ));
    }
    validate_labels(&metadata["labels"], "metadata.labels", &mut errors);
    validate_annotations(&metadata["annotations"], &mut errors);
    validate_owners(&metadata["ownerReferences"], &mut errors);
    validate_finalizers(&metadata["finalizers"], &mut errors);
    errors
}

/// Checks what an update may not change: `old` and `new` are whole metadata objects, with what
/// the server itself fills in (uid, times, generation) already taken over from `old`.
pub fn validate_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        if old[field] != new[field] {
            let path = format!("metadata.{field}");
            errors.push(FieldError::invalid(path, &new[field], "field is immutable"));
        }
    }
    if old["deletionTimestamp"].is_string() {
        let had = old["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
        let has = new["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
        let added: Vec<String> = has
            .iter()
            .filter(|f| !had.contains(f))
            .map(Value::to_string)
            .collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, \
                 found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &detail));
        }
    }
    errors
}

fn validate_names(metadata: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let text = |field: &str| metadata[field].as_str().unwrap_or("");
    let name = text("name");
    if name.is_empty() {
        let detail = "name or generateName is required";
        errors.push(FieldError::required("metadata.name", detail));
    } else {
        for detail in subdomain_errors(name) {
            errors.push(FieldError::invalid("metadata.name", &json!(name), &detail));
        }
    }
    let namespace = text("namespace");
    if namespaced && namespace.is_empty() {
        errors.push(FieldError::required("metadata.namespace", ""));
    } else if namespaced {
        for detail in dns_label_errors(namespace) {
            errors.push(FieldError::invalid(
                "metadata.namespace",
                &json!(namespace),
                &detail,
            ));
        }
    } else if !namespace.is_empty() {
        let detail = "not allowed on this type";
        errors.push(FieldError::forbidden("metadata.namespace", detail));
    }
}

/// Checks a map of labels at `path`.
pub fn validate_labels(labels: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for detail in qualified_name_errors(key) {
            errors.push(FieldError::invalid(path, &json!(key), &detail));
        }
        for detail in label_value_errors(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(path, value, &detail));
        }
    }
}

fn validate_annotations(annotations: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.annotations";
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        for detail in qualified_name_errors(&key.to_lowercase()) {
            errors.push(FieldError::invalid(path, &json!(key), &detail));
        }
        size += (key.len() + value.as_str().unwrap_or_default().len()) as u64;
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_MAX));
    }
}

fn validate_owners(owners: &Value, errors: &mut Vec<FieldError>) {
    let owners = owners.as_array().map_or(&[][..], Vec::as_slice);
    for owner in owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or("").is_empty() {
                let what = if field == "apiVersion" {
                    "version must"
                } else {
                    "must"
                };
                // Kubernetes does not say which of the references it is.
                let path = format!("metadata.ownerReferences.{field}");
                errors.push(FieldError::invalid(
                    path,
                    &json!(""),
                    &format!("{what} not be empty"),
                ));
            }
        }
    }
    let mut controllers = owners.iter().filter(|o| o["controller"] == true);
    if let (Some(first), Some(second)) = (controllers.next(), controllers.next()) {
        let name = |owner: &Value| {
            let part = |field: &str| owner[field].as_str().unwrap_or("").to_owned();
            format!("{}/{}", part("kind"), part("name"))
        };
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references \
             for {} and {}",
            name(first),
            name(second)
        );
        let path = "metadata.ownerReferences";
        errors.push(FieldError::invalid(
            path,
            &Value::Array(owners.to_vec()),
            &detail,
        ));
    }
}

fn validate_finalizers(finalizers: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.finalizers";
    let finalizers = finalizers.as_array().map_or(&[][..], Vec::as_slice);
    for finalizer in finalizers {
        for detail in qualified_name_errors(finalizer.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(path, finalizer, &detail));
        }
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.push(FieldError::invalid(
            path,
            &Value::Array(finalizers.to_vec()),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(metadata: Value) -> Vec<String> {
        validate(&metadata, true)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn names() {
        assert_eq!(
            errors(json!({ "namespace": "d" })),
            ["metadata.name: Required value: name or generateName is required"]
        );
        assert_eq!(
            errors(json!({ "namespace": "d", "name": "P_1" })),
            [
                "metadata.name: Invalid value: \"P_1\": a lowercase RFC 1123 subdomain must consist \
              of lower case alphanumeric characters, '-' or '.', and must start and end with an \
              alphanumeric character (e.g. 'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert!(errors(json!({ "namespace": "d", "name": "a", "generateName": "a-" })).is_empty());
        assert_eq!(validate(&json!({ "name": "default" }), false), []);
    }

    #[test]
    fn maps_and_lists() {
        let found = errors(json!({
            "namespace": "d", "name": "a",
            "labels": { "a b": "x", "ok": "-" },
            "annotations": { "UPPER.example.com/x": "y".repeat(300_000) },
            "finalizers": ["x y"],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "K", "name": "n" }],
        }));
        assert_eq!(found.len(), 5, "{found:#?}");
        assert_eq!(
            found[2],
            "metadata.annotations: Too long: may not be more than 262144 bytes"
        );
        assert_eq!(
            found[3],
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"
        );
    }

    #[test]
    fn updates() {
        let old =
            json!({ "name": "a", "uid": "1", "deletionTimestamp": "t", "finalizers": ["x/y"] });
        let mut new = old.clone();
        new["finalizers"] = json!(["x/y", "x/z"]);
        new["uid"] = json!("2");
        let found: Vec<String> = validate_update(&old, &new)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "metadata.uid: Invalid value: \"2\": field is immutable",
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is \
                 being deleted, found new finalizers []string{\"x/z\"}",
            ]
        );
    }
}
