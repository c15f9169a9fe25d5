//! Schema defaults.

use serde_json::{Map, Value};

/// Sets the defaults that `schema` declares, in place, where their parents exist.
///
/// A null in a field that is not nullable stands for "absent": it is replaced by the
/// default or removed.
pub fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(object) => default_members(schema, object),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items
                    .iter_mut()
                    .for_each(|item| apply_defaults(schema, item));
            }
        }
        _ => {}
    }
}

fn default_members(schema: &Value, object: &mut Map<String, Value>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, schema) in properties {
            default_member(schema, object, name);
        }
        return;
    }
    if let Some(schema @ Value::Object(_)) = schema.get("additionalProperties") {
        object.retain(|_, value| !is_unset(schema, value));
        object
            .values_mut()
            .for_each(|value| apply_defaults(schema, value));
    }
}

fn default_member(schema: &Value, object: &mut Map<String, Value>, name: &str) {
    let present = object
        .get(name)
        .is_some_and(|value| !is_unset(schema, value));
    match schema.get("default") {
        Some(default) if !present => {
            object.insert(name.to_owned(), default.clone());
        }
        _ if !present => {
            object.remove(name);
        }
        _ => {}
    }
    if let Some(value) = object.get_mut(name) {
        apply_defaults(schema, value);
    }
}

fn is_unset(schema: &Value, value: &Value) -> bool {
    value.is_null() && schema.get("nullable") != Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    #[test]
    fn only_where_parents_exist() {
        let schema = kinds::by_kind("Query").unwrap().schema();
        let mut query = json!({ "spec": { "input": "i", "ttl": null } });
        apply_defaults(schema, &mut query);
        assert_eq!(
            query,
            json!({ "spec": { "input": "i", "timeout": "5m", "type": "user" } })
        );

        let mut bare = json!({ "metadata": {} });
        apply_defaults(schema, &mut bare);
        assert_eq!(bare, json!({ "metadata": {} }));
    }

    #[test]
    fn inside_lists_and_maps() {
        let schema = kinds::by_kind("Model").unwrap().schema();
        let mut model = json!({ "spec": { "config": { "openai": { "properties": {
            "a": { "valueFrom": { "secretKeyRef": { "key": "k" } } }, "b": null
        } } } } });
        apply_defaults(schema, &mut model);
        assert_eq!(
            model["spec"]["config"]["openai"]["properties"],
            json!({ "a": { "valueFrom": { "secretKeyRef": { "key": "k", "name": "" } } } })
        );
        assert_eq!(model["spec"]["type"], "completions");

        let schema = kinds::by_kind("Agent").unwrap().schema();
        let mut agent = json!({ "spec": { "tools": [{ "approval": { "onTimeout": null } }] } });
        apply_defaults(schema, &mut agent);
        assert_eq!(agent["spec"]["tools"][0]["approval"]["onTimeout"], "reject");
    }
}
