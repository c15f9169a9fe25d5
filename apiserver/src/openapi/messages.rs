//! The schemas of core kinds, from their protobuf messages.

use serde_json::{Map, Value, json};

use crate::protobuf::schema::{self, Field, Label, Merge, Message, Type};

/// The schema of a message, with those of the messages in it; its metadata is left to the caller.
pub(super) fn of_message(message: &Message) -> Value {
    let fields = message
        .fields
        .iter()
        .filter(|field| field.type_ != Type::Message("ObjectMeta".to_owned()));
    let properties: Map<String, Value> = fields
        .map(|field| (field.name.clone(), of_field(field)))
        .collect();
    json!({"type": "object", "properties": properties})
}

fn of_field(field: &Field) -> Value {
    let value = of_type(&field.type_);
    let mut schema = match field.label {
        Label::Plain | Label::Optional => value,
        Label::Repeated => json!({"type": "array", "items": value}),
        Label::Map => json!({"type": "object", "additionalProperties": value}),
    };
    merging(field, &mut schema);
    schema
}

/// Says how strategic merge patches merge a list: kubectl makes its patches by it.
fn merging(field: &Field, schema: &mut Value) {
    if field.merge != Merge::Replace {
        schema["x-kubernetes-patch-strategy"] = "merge".into();
    }
    if let Merge::Key(key) = &field.merge {
        schema["x-kubernetes-patch-merge-key"] = key.as_str().into();
    }
}

/// Adds the same to the schema of metadata.
pub(super) fn merging_metadata(schema: &mut Value) {
    for field in &schema::message("ObjectMeta").fields {
        if let Some(property) = schema["properties"].get_mut(&field.name) {
            merging(field, property);
        }
    }
}

fn of_type(type_: &Type) -> Value {
    match type_ {
        Type::Bool => json!({"type": "boolean"}),
        Type::Int32 => json!({"type": "integer", "format": "int32"}),
        Type::Int64 => json!({"type": "integer", "format": "int64"}),
        Type::Text => json!({"type": "string"}),
        Type::Bytes => json!({"type": "string", "format": "byte"}),
        Type::Time(_) => json!({"type": "string", "format": "date-time"}),
        Type::IntOrString => json!({
            "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}],
        }),
        Type::Json => json!({"type": "object"}),
        Type::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Type::Message(name) => of_message(schema::message(name)),
    }
}
