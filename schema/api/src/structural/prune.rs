//! Pruning of unknown fields.

use serde_json::{Map, Value};

use super::{item, member};
use crate::object_meta;

/// Removes the fields that `schema`, a kind's whole schema, does not know, and
/// returns their paths in order, such as `spec.tools[0].x`.
///
/// `metadata` is pruned to the fields of ObjectMeta.
pub fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    if let Some(metadata) = object.get_mut("metadata") {
        dropped.extend(object_meta::prune(metadata));
    }
    let Value::Object(members) = object else {
        return dropped;
    };
    // ObjectMeta has no properties in a structural schema; it was treated above.
    let metadata = members.remove("metadata");
    prune_object(schema, members, "", &mut dropped);
    if let Some(metadata) = metadata {
        members.insert("metadata".into(), metadata);
    }
    dropped.sort();
    dropped
}

fn prune_value(schema: &Value, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
    match value {
        Value::Object(object) => prune_object(schema, object, path, dropped),
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else {
                return;
            };
            for (index, value) in items.iter_mut().enumerate() {
                prune_value(schema, value, &item(path, index), dropped);
            }
        }
        _ => {}
    }
}

fn prune_object(
    schema: &Value,
    object: &mut Map<String, Value>,
    path: &str,
    dropped: &mut Vec<String>,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    let keeps_unknown = schema.get("x-kubernetes-preserve-unknown-fields")
        == Some(&Value::Bool(true))
        || others == Some(&Value::Bool(true));
    object.retain(|name, value| {
        let known = properties
            .and_then(|p| p.get(name))
            .or(others.filter(|o| o.is_object()));
        let path = member(path, name);
        match known {
            Some(schema) => prune_value(schema, value, &path, dropped),
            None if keeps_unknown => {}
            None => {
                dropped.push(path);
                return false;
            }
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    #[test]
    fn reports_what_it_drops() {
        let schema = kinds::by_kind("Agent").unwrap().schema();
        let mut agent = json!({
            "apiVersion": "v", "kind": "Agent", "zz": 1,
            "metadata": { "name": "a", "foo": 1, "labels": { "x": "y" } },
            "spec": {
                "zz": 1,
                "tools": [{ "type": "mcp", "x": 1 }, { "type": "http" }],
                "outputSchema": { "anything": { "goes": 1 } },
            },
        });
        let dropped = prune(schema, &mut agent);
        assert_eq!(
            dropped,
            ["metadata.foo", "spec.tools[0].x", "spec.zz", "zz"]
        );
        assert_eq!(
            agent,
            json!({
                "apiVersion": "v", "kind": "Agent",
                "metadata": { "name": "a", "labels": { "x": "y" } },
                "spec": {
                    "tools": [{ "type": "mcp" }, { "type": "http" }],
                    "outputSchema": { "anything": { "goes": 1 } },
                },
            })
        );
    }

    #[test]
    fn removed_fields_of_old_queries_vanish() {
        let schema = kinds::by_kind("Query").unwrap().schema();
        let mut query =
            json!({ "spec": { "input": { "any": 1 }, "targets": [], "selectors": [] } });
        assert_eq!(
            prune(schema, &mut query),
            ["spec.selectors", "spec.targets"]
        );
        assert_eq!(query, json!({ "spec": { "input": { "any": 1 } } }));
    }
}
