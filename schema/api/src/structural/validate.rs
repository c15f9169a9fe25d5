//! Schema validation with Kubernetes' messages.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use regex::Regex;
use serde_json::{Value, json};

use super::{item, member};
use crate::field_error::FieldError;

/// Checks `value` against a structural schema; all errors, in the order of their paths.
pub fn validate(schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check(schema, value, "", &mut errors);
    errors
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
        return;
    }
    check_type(schema, value, path, errors);
    check_enum(schema, value, path, errors);
    match value {
        Value::String(text) => check_string(schema, text, path, errors),
        Value::Number(_) => check_number(schema, value, path, errors),
        Value::Array(items) => {
            check_count(schema, "maxItems", "minItems", items.len(), path, errors);
            if let Some(schema) = schema.get("items") {
                for (index, value) in items.iter().enumerate() {
                    check(schema, value, &item(path, index), errors);
                }
            }
        }
        Value::Object(_) => check_object(schema, value, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_type(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(wanted) = schema.get("type").and_then(Value::as_str) else {
        return;
    };
    let found = json_type(value);
    let fits = found == wanted
        || (wanted == "number" && found == "integer")
        || (wanted == "integer" && value.as_f64().is_some_and(|n| n.fract() == 0.0));
    if !fits {
        let detail = format!("{path} in body must be of type {wanted}: {found:?}");
        errors.push(FieldError::type_invalid(path, &json!(found), &detail));
    }
}

/// Kubernetes' name for the type of a JSON value.
fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_enum(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(allowed) = schema.get("enum").and_then(Value::as_array) else {
        return;
    };
    if !allowed.contains(value) {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        errors.push(FieldError::not_supported(path, value, &names));
    }
}

/// As in Kubernetes only the first of length and pattern is reported.
fn check_string(schema: &Value, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let chars = text.chars().count() as u64;
    let limit = |key| schema.get(key).and_then(Value::as_u64);
    if let Some(max) = limit("maxLength").filter(|max| chars > *max) {
        errors.push(FieldError::too_long(path, max));
    } else if let Some(min) = limit("minLength").filter(|min| chars < *min) {
        let detail = format!("{path} in body should be at least {min} chars long");
        errors.push(FieldError::invalid(path, &json!(text), &detail));
    } else if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !matches(pattern, text)
    {
        let detail = format!("{path} in body should match '{pattern}'");
        errors.push(FieldError::invalid(path, &json!(text), &detail));
    }
    if schema.get("format").and_then(Value::as_str) == Some("date-time")
        && chrono::DateTime::parse_from_rfc3339(text).is_err()
    {
        let detail = format!("{path} in body must be of type date-time: {text:?}");
        errors.push(FieldError::type_invalid(path, &json!(text), &detail));
    }
}

/// Patterns come from the static schemas, so the cache stays small.
fn matches(pattern: &str, text: &str) -> bool {
    static CACHE: LazyLock<Mutex<HashMap<String, Option<Arc<Regex>>>>> =
        LazyLock::new(Mutex::default);
    let compiled = {
        let mut cache = CACHE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match cache.get(pattern) {
            Some(compiled) => compiled.clone(),
            None => {
                let compiled = Regex::new(pattern).ok().map(Arc::new);
                cache.insert(pattern.to_owned(), compiled.clone());
                compiled
            }
        }
    };
    compiled.is_some_and(|regex| regex.is_match(text))
}

fn check_number(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let number = value.as_f64().unwrap_or_default();
    let is_int32 = schema.get("format").and_then(Value::as_str) == Some("int32");
    if is_int32 && !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        let detail = format!("Checked value must be of type integer with format int32 in {path}");
        errors.push(FieldError::invalid(path, value, &detail));
    }
    let bounds = [
        (
            "maximum",
            number > bound(schema, "maximum", f64::INFINITY),
            "less",
        ),
        (
            "minimum",
            number < bound(schema, "minimum", f64::NEG_INFINITY),
            "greater",
        ),
    ];
    for (key, broken, word) in bounds {
        if broken {
            let limit = &schema[key];
            let detail = format!("{path} in body should be {word} than or equal to {limit}");
            errors.push(FieldError::invalid(path, value, &detail));
        }
    }
}

fn bound(schema: &Value, key: &str, unbounded: f64) -> f64 {
    schema.get(key).and_then(Value::as_f64).unwrap_or(unbounded)
}

fn check_count(
    schema: &Value,
    max_key: &str,
    min_key: &str,
    count: usize,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let limit = |key| schema.get(key).and_then(Value::as_u64);
    if let Some(max) = limit(max_key).filter(|max| count as u64 > *max) {
        errors.push(FieldError::too_many(path, count, max));
    } else if let Some(min) = limit(min_key).filter(|min| (count as u64) < *min) {
        let detail = format!("{path} in body should have at least {min} items");
        errors.push(FieldError::invalid(path, &json!(count), &detail));
    }
}

fn check_object(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(object) = value.as_object() else {
        return;
    };
    check_count(
        schema,
        "maxProperties",
        "minProperties",
        object.len(),
        path,
        errors,
    );
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            errors.push(FieldError::required(member(path, name), ""));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties").filter(|o| o.is_object());
    for (name, value) in object {
        if let Some(schema) = properties.and_then(|p| p.get(name)).or(others) {
            check(schema, value, &member(path, name), errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn errors(kind: &str, spec: Value) -> Vec<String> {
        let object = json!({ "apiVersion": "v", "kind": kind, "metadata": {}, "spec": spec });
        let found = validate(kinds::by_kind(kind).unwrap().schema(), &object);
        found.iter().map(|e| format!("{} {e}", e.reason)).collect()
    }

    #[test]
    fn messages_are_kubernetes() {
        assert_eq!(
            errors("Query", json!({})),
            ["FieldValueRequired spec.input: Required value"]
        );
        assert_eq!(
            errors("Query", json!({ "input": 5, "timeout": 5 })),
            [
                "FieldValueTypeInvalid spec.timeout: Invalid value: \"integer\": \
              spec.timeout in body must be of type string: \"integer\""
            ]
        );
        assert_eq!(
            errors("Query", json!({ "input": "", "type": "messages" })),
            [
                "FieldValueNotSupported spec.type: Unsupported value: \"messages\": \
              supported values: \"user\""
            ]
        );
        assert_eq!(
            errors(
                "Query",
                json!({ "input": "", "target": { "name": "", "type": "agent" } })
            ),
            ["FieldValueInvalid spec.target.name: Invalid value: \"\": \
              spec.target.name in body should be at least 1 chars long"]
        );
    }

    #[test]
    fn patterns_bounds_and_lists() {
        assert_eq!(
            errors(
                "Tool",
                json!({ "type": "http", "http": { "url": "ftp://x" } })
            ),
            [
                "FieldValueInvalid spec.http.url: Invalid value: \"ftp://x\": \
              spec.http.url in body should match '^https?://.*'"
            ]
        );
        assert_eq!(
            errors(
                "Agent",
                json!({ "tools": [{ "type": "http" }, { "name": "x" }, null] })
            ),
            [
                "FieldValueRequired spec.tools[1].type: Required value",
                "FieldValueTypeInvalid spec.tools[2]: Invalid value: \"null\": \
                 spec.tools[2] in body must be of type object: \"null\"",
            ]
        );
        let model = json!({
            "model": {}, "provider": "bedrock",
            "config": { "bedrock": { "maxTokens": 0, "temperature": "2" } },
        });
        assert_eq!(
            errors("Model", model),
            [
                "FieldValueInvalid spec.config.bedrock.maxTokens: Invalid value: 0: \
                 spec.config.bedrock.maxTokens in body should be greater than or equal to 1",
                "FieldValueInvalid spec.config.bedrock.temperature: Invalid value: \"2\": \
                 spec.config.bedrock.temperature in body should match '^(0(\\.\\d+)?|1(\\.0+)?)$'",
            ]
        );
    }

    #[test]
    fn a_whole_float_is_an_integer() {
        let team = |turns: Value| json!({ "strategy": "s", "members": [], "maxTurns": turns });
        assert!(errors("Team", team(json!(3.0))).is_empty());
        assert_eq!(errors("Team", team(json!(3.5))).len(), 1);
    }
}
