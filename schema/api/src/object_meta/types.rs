//! The JSON types of ObjectMeta's fields.

use serde_json::Value;

/// Checks that every field of `metadata` has the type that Kubernetes decodes it into;
/// the error is what its decoder says, which answers a request with 400.
pub fn check_types(metadata: &Value) -> Result<(), String> {
    let Some(fields) = metadata.as_object() else {
        return match metadata {
            Value::Null => Ok(()),
            other => mismatch(other, "", "v1.ObjectMeta"),
        };
    };
    for (name, value) in fields {
        match name.as_str() {
            "labels" | "annotations" => check_text_map(value, name)?,
            "finalizers" => check_list(value, name, "string", |item| item.is_string())?,
            "ownerReferences" => {
                check_list(value, name, "v1.OwnerReference", Value::is_object)?;
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(check_owner)?;
            }
            "generation" | "deletionGracePeriodSeconds" => {
                check(value, name, "int64", |value| value.is_i64())?;
            }
            "creationTimestamp" | "deletionTimestamp" => check_time(value, name)?,
            "name" | "generateName" | "namespace" | "uid" | "resourceVersion" | "selfLink" => {
                check(value, name, "string", Value::is_string)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check(value: &Value, field: &str, type_: &str, fits: fn(&Value) -> bool) -> Result<(), String> {
    match value.is_null() || fits(value) {
        true => Ok(()),
        false => mismatch(value, field, type_),
    }
}

fn check_text_map(value: &Value, field: &str) -> Result<(), String> {
    check(value, field, "map[string]string", Value::is_object)?;
    let values = value.as_object().into_iter().flat_map(|map| map.values());
    values
        .into_iter()
        .try_for_each(|value| check(value, field, "string", Value::is_string))
}

fn check_list(
    value: &Value,
    field: &str,
    type_: &str,
    fits: fn(&Value) -> bool,
) -> Result<(), String> {
    check(value, field, &format!("[]{type_}"), Value::is_array)?;
    let items = value.as_array().into_iter().flatten();
    items
        .into_iter()
        .try_for_each(|item| check(item, field, type_, fits))
}

fn check_owner(owner: &Value) -> Result<(), String> {
    for (name, value) in owner.as_object().into_iter().flatten() {
        let field = format!("ownerReferences.{name}");
        match name.as_str() {
            "controller" | "blockOwnerDeletion" => check(value, &field, "bool", Value::is_boolean)?,
            "apiVersion" | "kind" | "name" | "uid" => {
                check(value, &field, "string", Value::is_string)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_time(value: &Value, field: &str) -> Result<(), String> {
    check(value, field, "string", Value::is_string)?;
    match value.as_str() {
        Some(text) if chrono::DateTime::parse_from_rfc3339(text).is_err() => Err(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \
             \"2006\""
        )),
        _ => Ok(()),
    }
}

fn mismatch(value: &Value, field: &str, type_: &str) -> Result<(), String> {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let field = match field {
        "" => "metadata".to_owned(),
        field => format!("ObjectMeta.{field}"),
    };
    Err(format!(
        "json: cannot unmarshal {found} into Go struct field {field} of type {type_}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_types_are_named_as_gos_decoder_does() {
        let good = json!({
            "name": "a", "labels": { "a": "b" }, "annotations": null, "generation": 3,
            "finalizers": ["x/y"], "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{ "name": "n", "controller": true }], "managedFields": 5,
        });
        assert_eq!(check_types(&good), Ok(()));
        for (metadata, message) in [
            (
                json!({ "labels": { "a": 5 } }),
                "number into Go struct field ObjectMeta.labels of type string",
            ),
            (
                json!({ "labels": "x" }),
                "string into Go struct field ObjectMeta.labels of type map[string]string",
            ),
            (
                json!({ "finalizers": {} }),
                "object into Go struct field ObjectMeta.finalizers of type []string",
            ),
            (
                json!({ "name": 1 }),
                "number into Go struct field ObjectMeta.name of type string",
            ),
        ] {
            let error = check_types(&metadata).unwrap_err();
            assert_eq!(error, format!("json: cannot unmarshal {message}"));
        }
        assert!(check_types(&json!({ "creationTimestamp": "now" })).is_err());
        assert!(check_types(&json!({ "ownerReferences": [{ "uid": 1 }] })).is_err());
        assert!(check_types(&json!([])).is_err());
    }
}
