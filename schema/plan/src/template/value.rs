//! The values of a running template, with the types that Go gives them.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

/// A value as Go's templates have it. Lists and objects only come from the data, where every number is a float64.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// Nothing was there: an absent key, or what comes of one.
    Missing,
    /// There was a null.
    Null,
    Bool(bool),
    Integer(i64),
    /// An element of a string.
    Byte(u8),
    Float(f64),
    /// Usually UTF-8.
    Text(Cow<'a, [u8]>),
    List(&'a [Json]),
    Object(&'a Map<String, Json>),
}

impl<'a> Value<'a> {
    pub(super) fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::Text(Cow::Borrowed(text.as_bytes())),
            Json::Array(items) => Value::List(items),
            Json::Object(members) => Value::Object(members),
        }
    }

    pub(super) fn text(text: impl Into<Vec<u8>>) -> Self {
        Value::Text(Cow::Owned(text.into()))
    }

    pub(super) fn count(count: usize) -> Self {
        Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Null and what is missing, which functions cannot tell apart.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Value::Missing | Value::Null)
    }

    /// Whether a condition holds: everything but zero, false, nothing and what is empty.
    pub(super) fn truth(&self) -> bool {
        match self {
            Value::Missing | Value::Null => false,
            Value::Bool(value) => *value,
            Value::Integer(value) => *value != 0,
            Value::Byte(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        }
    }

    /// The name of its Go type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Missing | Value::Null => "nil",
            Value::Bool(_) => "bool",
            Value::Integer(_) => "int",
            Value::Byte(_) => "uint8",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(_) => "[]interface {}",
            Value::Object(_) => "map[string]interface {}",
        }
    }
}
