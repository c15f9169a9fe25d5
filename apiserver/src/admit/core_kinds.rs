//! What a standalone server completes in core kinds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::catalog::Resource;
use crate::object::{self, Object};
use crate::status::{FieldError, Result, Status};

/// Of the values of a Secret or ConfigMap together, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// Folds `stringData` into `data` and checks that `data` is base64.
pub(super) fn complete_secret(secret: &mut Object) -> Result<()> {
    secret.entry("type").or_insert_with(|| "Opaque".into());
    let plain = secret.remove("stringData");
    let broken = |why: String| Status::bad_request(format!("Secret cannot be handled: {why}"));
    let mut data = match secret.remove("data") {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(broken("data must be an object".into())),
    };
    for (key, value) in &data {
        if value
            .as_str()
            .is_none_or(|text| STANDARD.decode(text).is_err())
        {
            return Err(broken(format!("data[{key:?}] must be a base64 string")));
        }
    }
    for (key, value) in plain
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let Some(text) = value.as_str() else {
            return Err(broken(format!("stringData[{key:?}] must be a string")));
        };
        data.insert(key.clone(), STANDARD.encode(text).into());
    }
    if !data.is_empty() {
        secret.insert("data".into(), data.into());
    }
    Ok(())
}

/// Fills in what the server says of a Namespace.
pub(super) fn complete_namespace(namespace: &mut Object) {
    let name = object::meta(namespace, "name").to_owned();
    namespace
        .entry("spec")
        .or_insert_with(|| json!({"finalizers": ["kubernetes"]}));
    namespace
        .entry("status")
        .or_insert_with(|| json!({"phase": "Active"}));
    let metadata = object::metadata_mut(namespace);
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

/// What of a Secret or ConfigMap breaks a rule: its keys, its size, and what may not change.
pub(super) fn check(resource: &Resource, old: Option<&Object>, new: &Value) -> Vec<FieldError> {
    if !resource.group.is_empty() || !["ConfigMap", "Secret"].contains(&resource.kind.as_str()) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in new[field].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let is_text = field == "data" && resource.kind == "ConfigMap";
            // Base64 takes four characters for three bytes.
            size += if is_text {
                text.len()
            } else {
                text.len() / 4 * 3
            };
            if let Some(why) = broken_key(key) {
                let field = format!("{field}[{key}]");
                errors.push(FieldError::invalid(&field, &key.as_str().into(), why));
            }
        }
    }
    if size > MAX_SIZE {
        errors.push(FieldError {
            reason: "FieldValueTooLong",
            field: "data".to_owned(),
            message: format!("Too long: may not be more than {MAX_SIZE} bytes"),
        });
    }
    if let Some(old) = old {
        errors.extend(check_change(old, new));
    }
    errors
}

fn broken_key(key: &str) -> Option<&'static str> {
    const LONGEST: usize = 253;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if key.len() > LONGEST {
        Some("must be no more than 253 characters")
    } else if key.is_empty() || !key.chars().all(allowed) {
        Some(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        )
    } else if key == "." {
        Some("must not be '.'")
    } else if key.starts_with("..") {
        Some("must not start with '..'")
    } else {
        None
    }
}

fn check_change(old: &Object, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let before = |field: &str| old.get(field).unwrap_or(&Value::Null);
    if before("type") != &new["type"] {
        let why = "field is immutable";
        errors.push(FieldError::invalid("type", &new["type"], why));
    }
    if before("immutable") != true {
        return errors;
    }
    for field in ["immutable", "data", "binaryData"] {
        if before(field) != &new[field] {
            let why = "field is immutable when `immutable` is set";
            errors.push(FieldError::forbidden(field, why));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn plain_text_of_a_secret_becomes_data() {
        let mut secret = object(json!({"data": {"a": "YQ=="}, "stringData": {"b": "b", "a": "x"}}));
        complete_secret(&mut secret).unwrap();
        assert_eq!(
            Value::Object(secret),
            json!({"type": "Opaque", "data": {"a": "eA==", "b": "Yg=="}})
        );
        let mut broken = object(json!({"data": {"a": "not base64!"}}));
        assert_eq!(complete_secret(&mut broken).unwrap_err().code, 400);
    }

    #[test]
    fn keys_sizes_and_immutable_fields() {
        let secrets = catalog::find("", "v1", "secrets").unwrap();
        let fields = |old: Option<Value>, new: Value| -> Vec<String> {
            let old = old.map(object);
            let errors = check(secrets, old.as_ref(), &new);
            errors.into_iter().map(|error| error.field).collect()
        };
        let fine = json!({"type": "Opaque", "data": {"a.b": "YQ=="}, "immutable": true});
        assert!(fields(None, fine.clone()).is_empty());
        assert!(fields(Some(fine.clone()), fine.clone()).is_empty());
        let bad = json!({"data": {"a b": "", "..": "", "c": "A".repeat(MAX_SIZE * 4 / 3 + 8)}});
        assert_eq!(fields(None, bad), ["data[..]", "data[a b]", "data"]);
        let changed = json!({"type": "other", "data": {}});
        assert_eq!(fields(Some(fine), changed), ["type", "immutable", "data"]);
    }
}
