//! From JSON to protobuf.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use serde_json::Value;

use super::schema::{self, Field, Label, Message, Type};
use crate::object::{self, Object};

/// The bytes of a message: of each field that the object has in the right type.
pub(crate) fn message(message: &Message, object: &Object) -> Vec<u8> {
    let mut out = Vec::new();
    for field in &message.fields {
        if let Some(value) = object.get(&field.name) {
            put_field(&mut out, field, value);
        }
    }
    out
}

fn put_field(out: &mut Vec<u8>, field: &Field, value: &Value) {
    match (field.label, value) {
        (Label::Repeated, Value::Array(items)) => {
            for item in items {
                put_value(out, field.number, &field.type_, item);
            }
        }
        (Label::Map, Value::Object(entries)) => {
            for (key, value) in entries {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, key.as_bytes());
                put_value(&mut entry, 2, &field.type_, value);
                put_bytes(out, field.number, &entry);
            }
        }
        (Label::Plain | Label::Optional, value) => {
            put_value(out, field.number, &field.type_, value);
        }
        _ => {}
    }
}

fn put_value(out: &mut Vec<u8>, number: u32, type_: &Type, value: &Value) {
    match (type_, value) {
        (Type::Bool, Value::Bool(value)) => put_number(out, number, u64::from(*value)),
        (Type::Int32 | Type::Int64, Value::Number(value)) => {
            let value = value.as_i64().unwrap_or_default();
            put_number(out, number, value.cast_unsigned());
        }
        (Type::Text, Value::String(text)) => put_bytes(out, number, text.as_bytes()),
        (Type::Bytes, Value::String(text)) => {
            put_bytes(out, number, &STANDARD.decode(text).unwrap_or_default());
        }
        (Type::Time(_), Value::String(text)) => put_bytes(out, number, &time(text)),
        (Type::IntOrString, value) => put_bytes(out, number, &int_or_string(value)),
        (Type::Json, value) => {
            let mut raw = Vec::new();
            put_bytes(&mut raw, 1, object::encode(value).as_bytes());
            put_bytes(out, number, &raw);
        }
        (Type::Texts, Value::Array(items)) => {
            let mut texts = Vec::new();
            for item in items {
                put_value(&mut texts, 1, &Type::Text, item);
            }
            put_bytes(out, number, &texts);
        }
        (Type::Message(name), Value::Object(fields)) => {
            put_bytes(out, number, &message(schema::message(name), fields));
        }
        _ => {}
    }
}

fn time(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        put_number(&mut out, 1, time.timestamp().cast_unsigned());
        put_number(&mut out, 2, u64::from(time.timestamp_subsec_nanos()));
    }
    out
}

fn int_or_string(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => {
            put_number(&mut out, 1, 1);
            put_bytes(&mut out, 3, text.as_bytes());
        }
        other => put_number(
            &mut out,
            2,
            other.as_i64().unwrap_or_default().cast_unsigned(),
        ),
    }
    out
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// A field of bytes: a string, a message, or bytes as they are.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
