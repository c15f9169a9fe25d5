//! JSON of the core kinds, held against their types: unknown fields go, wrong types are refused.

use serde_json::Value;

use super::schema::{self, Field, Label, Message, Type};
use crate::object::{Object, json_type};

/// Removes fields that the message does not have, and nulls; returns the removed paths.
///
/// The error is what Kubernetes' decoder says of a value of the wrong type.
pub(crate) fn fit(message: &Message, object: &mut Object) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let type_meta = ["apiVersion", "kind"].map(|name| object.remove_entry(name));
    fit_message(message, object, "", &mut unknown)?;
    object.extend(type_meta.into_iter().flatten());
    Ok(unknown)
}

fn fit_message(
    message: &Message,
    object: &mut Object,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    object.retain(|name, value| {
        let known = message.fields.iter().any(|field| &field.name == name);
        if !known {
            unknown.push(joined(path, name));
        }
        known && !value.is_null()
    });
    for field in &message.fields {
        // Metadata has rules of its own, the same for all kinds.
        if let Some(value) = object.get_mut(&field.name)
            && field.type_ != Type::Message("ObjectMeta".to_owned())
        {
            let place = Place {
                message,
                field,
                path: &joined(path, &field.name),
            };
            fit_field(&place, value, unknown)?;
        }
    }
    Ok(())
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Where a value stands.
struct Place<'a> {
    message: &'a Message,
    field: &'a Field,
    path: &'a str,
}

impl Place<'_> {
    fn misfit(&self, value: &Value, type_: &str) -> String {
        format!(
            "json: cannot unmarshal {} into Go struct field {}.{} of type {type_}",
            json_type(value),
            self.message.name,
            self.path,
        )
    }
}

fn fit_field(
    place: &Place<'_>,
    value: &mut Value,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let type_ = go_type(&place.field.type_);
    match (place.field.label, value) {
        (Label::Plain | Label::Optional, value) => fit_value(place, value, place.path, unknown),
        (Label::Repeated, Value::Array(items)) => {
            items.iter_mut().enumerate().try_for_each(|(index, item)| {
                let path = format!("{}[{index}]", place.path);
                fit_value(place, item, &path, unknown)
            })
        }
        (Label::Map, Value::Object(entries)) => {
            for (key, value) in entries.iter_mut() {
                if value.is_null() {
                    *value = "".into();
                }
                fit_value(place, value, &joined(place.path, key), unknown)?;
            }
            Ok(())
        }
        (Label::Repeated, value) => Err(place.misfit(value, &format!("[]{type_}"))),
        (Label::Map, value) => Err(place.misfit(value, &format!("map[string]{type_}"))),
    }
}

fn fit_value(
    place: &Place<'_>,
    value: &mut Value,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let fits = match (&place.field.type_, &mut *value) {
        (Type::Message(name), Value::Object(fields)) => {
            return fit_message(schema::message(name), fields, path, unknown);
        }
        (Type::Bool, value) => value.is_boolean(),
        (Type::Int32, value) => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        (Type::Int64, value) => value.is_i64(),
        (Type::Text | Type::Bytes | Type::Time(_), value) => value.is_string(),
        (Type::IntOrString, value) => value.is_string() || value.is_i64(),
        (Type::Texts, value) => value.is_array(),
        (Type::Json, _) => true,
        (Type::Message(_), _) => false,
    };
    if fits {
        return Ok(());
    }
    Err(place.misfit(value, go_type(&place.field.type_)))
}

fn go_type(type_: &Type) -> &str {
    match type_ {
        Type::Bool => "bool",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Text => "string",
        Type::Bytes => "[]uint8",
        Type::Time(false) => "v1.Time",
        Type::Time(true) => "v1.MicroTime",
        Type::IntOrString => "intstr.IntOrString",
        Type::Json => "v1.FieldsV1",
        Type::Texts => "[]string",
        Type::Message(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fitted(kind: &str, value: Value) -> Result<(Vec<String>, Value), String> {
        let mut object = value.as_object().unwrap().clone();
        let unknown = fit(schema::message(kind), &mut object)?;
        Ok((unknown, object.into()))
    }

    #[test]
    fn unknown_fields_go_and_wrong_types_are_named() {
        let service = json!({
            "kind": "Service", "metadata": {"any": 1}, "zz": 1, "status": null,
            "spec": {"ports": [{"port": 80, "prot": "TCP", "targetPort": "web"}], "selector": {"a": "b"}},
        });
        let (unknown, fitted_service) = fitted("Service", service).unwrap();
        assert_eq!(unknown, ["zz", "spec.ports[0].prot"]);
        assert_eq!(
            fitted_service,
            json!({
                "kind": "Service", "metadata": {"any": 1},
                "spec": {"ports": [{"port": 80, "targetPort": "web"}], "selector": {"a": "b"}},
            })
        );
        for (kind, value, error) in [
            (
                "ConfigMap",
                json!({"data": {"a": 1}}),
                "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ),
            (
                "Service",
                json!({"spec": {"ports": {}}}),
                "json: cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []ServicePort",
            ),
        ] {
            assert_eq!(fitted(kind, value).unwrap_err(), error);
        }
    }
}
