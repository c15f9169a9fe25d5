//! Metadata: generated names, what only the server sets, the rules of Kubernetes and its warnings.

use rand::Rng;
use serde_json::Value;

use crate::catalog::{Resource, core_kinds};
use crate::object::{self, Object};
use crate::status::FieldError;

/// Finalizers of Kubernetes itself, which need no domain.
const OWN_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

/// A name from `generateName`: five characters without vowels, so that no words arise.
pub(super) fn generate_name(metadata: &mut Object) {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    const PREFIX: usize = 58;
    let text = |field: &str| {
        metadata
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if !text("name").is_empty() || text("generateName").is_empty() {
        return;
    }
    let mut name: String = text("generateName").chars().take(PREFIX).collect();
    let mut random = rand::rng();
    let letters = (0..5).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    name.extend(letters);
    metadata.insert("name".into(), name.into());
}

/// Fields of metadata that only the server sets keep their values; a given uid or time of deletion is compared later.
pub(super) fn keep_what_the_server_sets(old: &Object, new: &mut Object) {
    let before = object::metadata(old);
    let metadata = object::metadata_mut(new);
    metadata.remove("managedFields");
    metadata.remove("selfLink");
    for field in [
        "generation",
        "deletionGracePeriodSeconds",
        "creationTimestamp",
    ] {
        metadata.remove(field);
        metadata.extend(before.get(field).map(|v| (field.to_owned(), v.clone())));
    }
    for field in ["uid", "deletionTimestamp"] {
        if let (false, Some(value)) = (metadata.contains_key(field), before.get(field)) {
            metadata.insert(field.into(), value.clone());
        }
    }
    if let Some(version) = before.get("resourceVersion") {
        metadata.insert("resourceVersion".into(), version.clone());
    }
}

/// Keeps the first of owners with the same uid; says which there were more of.
pub(super) fn drop_repeated_owners(object: &mut Object) -> Option<String> {
    let owners = object::metadata_mut(object).get_mut("ownerReferences");
    let owners = owners.and_then(Value::as_array_mut)?;
    let mut seen: Vec<Value> = Vec::new();
    let mut repeated: Vec<String> = Vec::new();
    owners.retain(|owner| {
        if !seen.contains(owner) {
            seen.push(owner.clone());
            return true;
        }
        repeated.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        false
    });
    repeated.sort();
    repeated.dedup();
    (!repeated.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, \
             and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            repeated.join(", ")
        )
    })
}

/// What is accepted and still unwise: new finalizers without a domain.
pub(super) fn warnings(old: Option<&Object>, metadata: &Value) -> Vec<String> {
    let list = |metadata: Option<&Value>| -> Vec<String> {
        let items = metadata.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let known = list(old.and_then(|old| object::metadata(old).get("finalizers")));
    let mut new = list(metadata.get("finalizers"));
    new.retain(|finalizer| {
        !known.contains(finalizer)
            && !finalizer.contains('/')
            && !OWN_FINALIZERS.contains(&finalizer.as_str())
    });
    let warning = |finalizer: &String| {
        format!(
            "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name to avoid accidental \
             conflicts with other finalizer writers"
        )
    };
    new.iter().map(warning).collect()
}

/// What of the metadata breaks a rule.
pub(super) fn check(
    resource: &Resource,
    old: Option<&Object>,
    metadata: &Value,
) -> Vec<FieldError> {
    let mut errors = check_prefix(metadata);
    errors.extend(ark_api::object_meta::validate(
        metadata,
        resource.namespaced,
    ));
    if resource.group == core_kinds::RBAC {
        // Names such as `system:reader` are usual there.
        errors.retain(|e| e.field != "metadata.name");
    }
    if let Some(old) = old {
        let old = Value::Object(object::metadata(old).clone());
        errors.extend(ark_api::object_meta::validate_update(&old, metadata));
    }
    errors
}

/// A prefix of generated names must be the beginning of a name; a last dash is followed by more.
fn check_prefix(metadata: &Value) -> Vec<FieldError> {
    let prefix = metadata["generateName"].as_str().unwrap_or_default();
    if prefix.is_empty() {
        return Vec::new();
    }
    let name = prefix.strip_suffix('-').unwrap_or(prefix).to_owned() + "a";
    let broken = ark_api::names::subdomain_errors(&name);
    let error = |why: &String| FieldError::invalid("metadata.generateName", &prefix.into(), why);
    broken.iter().map(error).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn generated_names_are_short_enough() {
        let mut metadata = object(json!({"generateName": "x".repeat(80)}));
        generate_name(&mut metadata);
        assert_eq!(metadata["name"].as_str().unwrap().len(), 63);
    }
}
