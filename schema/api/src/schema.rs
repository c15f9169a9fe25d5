//! Structural OpenAPI schemas from the Rust types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Schema of a kind with this spec and status, as a CustomResourceDefinition holds it.
pub(crate) fn of_kind<Spec: JsonSchema, Status: JsonSchema>(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": {
            "apiVersion": {
                "description": "Group and version of this representation of the object.",
                "type": "string",
            },
            "kind": { "description": "Kind of the object.", "type": "string" },
            "metadata": { "type": "object" },
            "spec": of_type::<Spec>(),
            "status": of_type::<Status>(),
        },
    })
}

fn of_type<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2019_09().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    make_structural(&mut schema);
    schema
}

/// Removes what Kubernetes does not allow in a structural schema: titles, null as
/// the way to say "optional", and unions that only exist for that.
fn make_structural(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("title");
    if let Some(Value::Array(branches)) = object.remove("anyOf") {
        take_non_null_branch(object, branches);
    }
    if let Some(Value::Array(types)) = object.get("type") {
        let plain = types.iter().find(|t| *t != "null").cloned();
        object.insert("type".into(), plain.unwrap_or(Value::Null));
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(make_structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            make_structural(inner);
        }
    }
}

fn take_non_null_branch(object: &mut Map<String, Value>, branches: Vec<Value>) {
    let branch = branches.into_iter().find(|b| b["type"] != "null");
    for (key, value) in branch
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        object.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
