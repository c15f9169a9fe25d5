//! An object's text: made once after admission, stored and sent as it is.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

use crate::status::{Result, Status};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Canonical text in the two halves around the value of `metadata.resourceVersion`, which the store fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Halves {
    pub(crate) head: String,
    pub(crate) tail: String,
}

impl Halves {
    /// Encodes `object` with sorted keys; what it has as resourceVersion is left out.
    pub(crate) fn of(object: &Object) -> Self {
        let mut head = String::from("{");
        let mut tail = None::<String>;
        for (key, value) in object {
            let out = tail.as_mut().unwrap_or(&mut head);
            separate(out);
            write_key(out, key);
            match value {
                Value::Object(metadata) if key == "metadata" => {
                    let (before, after) = split_metadata(metadata);
                    out.push_str(&before);
                    tail = Some(after);
                }
                other => out.push_str(&encode(other)),
            }
        }
        let mut tail = tail.unwrap_or_default();
        tail.push('}');
        Self { head, tail }
    }

    pub(crate) fn with_version(&self, version: i64) -> String {
        format!("{}{version}{}", self.head, self.tail)
    }
}

/// The metadata object's text up to and after the value of `resourceVersion`, quotes included.
fn split_metadata(metadata: &Object) -> (String, String) {
    const VERSION: &str = "resourceVersion";
    let (mut head, mut tail) = (String::from("{"), String::new());
    let others = || metadata.iter().filter(|(key, _)| *key != VERSION);
    for (key, value) in others().filter(|(key, _)| key.as_str() < VERSION) {
        separate(&mut head);
        write_key(&mut head, key);
        head.push_str(&encode(value));
    }
    separate(&mut head);
    write_key(&mut head, VERSION);
    head.push('"');
    tail.push('"');
    for (key, value) in others().filter(|(key, _)| key.as_str() > VERSION) {
        tail.push(',');
        write_key(&mut tail, key);
        tail.push_str(&encode(value));
    }
    tail.push('}');
    (head, tail)
}

fn separate(out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
}

fn write_key(out: &mut String, key: &str) {
    out.push_str(&encode(key));
    out.push(':');
}

/// Compact JSON with numbers as Kubernetes prints them.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, GoNumbers));
    written.expect("JSON values always serialize into memory");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

/// Floating-point numbers as Go's encoding/json writes them: `1.0` is `1`, exponents from 1e21 and below 1e-6.
struct GoNumbers;

impl Formatter for GoNumbers {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(go_float(value).as_bytes())
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if i64::try_from(value).is_ok() {
            return write!(writer, "{value}");
        }
        // Kubernetes keeps 64-bit signed integers; larger numbers become floating point.
        self.write_f64(writer, value as f64)
    }
}

fn go_float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// The name of a value's type in the messages of Go's decoder.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The parts of stored metadata that selectors and conditions look at.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Labels {
    metadata: LabelsOnly,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct LabelsOnly {
    labels: BTreeMap<String, String>,
}

impl Labels {
    /// Reads only the labels of an object's text.
    pub(crate) fn read(text: &str) -> BTreeMap<String, String> {
        serde_json::from_str::<Self>(text)
            .map(|object| object.metadata.labels)
            .unwrap_or_default()
    }
}

/// The object in a stored text.
pub(crate) fn parse(text: &str) -> Result<Object> {
    serde_json::from_str(text)
        .map_err(|e| Status::internal(format!("a stored object is not JSON: {e}")))
}

/// `metadata` of an object, which admission guarantees to be there.
pub(crate) fn metadata(object: &Object) -> &Object {
    static EMPTY: LazyLock<Object> = LazyLock::new(Object::new);
    object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&EMPTY)
}

pub(crate) fn metadata_mut(object: &mut Object) -> &mut Object {
    let entry = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Object::new()));
    if !entry.is_object() {
        *entry = Value::Object(Object::new());
    }
    entry.as_object_mut().expect("it was just made an object")
}

/// A string field of `metadata`; empty if there is none.
pub(crate) fn meta<'a>(object: &'a Object, field: &str) -> &'a str {
    metadata(object)
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Names an object that has no name yet.
pub(crate) fn default_name(object: &mut Value, name: &str) {
    if let Value::Object(object) = object
        && meta(object, "name").is_empty()
        && matches!(object.get("metadata"), None | Some(Value::Object(_)))
    {
        metadata_mut(object).insert("name".into(), name.into());
    }
}

/// Whether the object waits for finalizers before it goes.
pub(crate) fn has_finalizers(object: &Object) -> bool {
    metadata(object)
        .get("finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
}

pub(crate) fn is_deleting(object: &Object) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn halves_are_sorted_and_close_around_the_version() {
        let object = json!({
            "spec": {"b": 1.0, "a": [1e21, 1.5e-7, 12345678901234i64]}, "kind": "Query", "apiVersion": "v1",
            "metadata": {"uid": "u", "name": "n", "resourceVersion": "7", "labels": {"x": "\u{0}\"<"}},
        });
        let halves = Halves::of(object.as_object().unwrap());
        let text = halves.with_version(42);
        assert_eq!(
            text,
            r#"{"apiVersion":"v1","kind":"Query","metadata":{"labels":{"x":"\u0000\"<"},"name":"n","resourceVersion":"42","uid":"u"},"spec":{"a":[1e+21,1.5e-7,12345678901234],"b":1}}"#
        );
        let again = parse(&text).unwrap();
        assert_eq!(Halves::of(&again), halves);
    }

    #[test]
    fn numbers_as_go_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (100.0, "100"),
            (0.000001, "0.000001"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(go_float(value), text);
        }
    }
}
