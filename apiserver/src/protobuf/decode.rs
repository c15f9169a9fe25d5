//! From protobuf to JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};

use super::schema::{self, Field, Label, Message, Type};
use crate::object::Object;

/// Bytes that are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the protobuf message is malformed")]
pub(crate) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// The fields on the wire, in their order.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
        let value = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            _ => return Err(Malformed),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The JSON object of a message's bytes; fields that the schema does not have are skipped, as Kubernetes does.
pub(crate) fn message(message: &Message, bytes: &[u8]) -> Result<Object> {
    let mut object = Object::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        if let Some(field) = message.fields.iter().find(|f| f.number == number) {
            add(&mut object, field, wire)?;
        }
    }
    object.retain(|name, value| {
        let field = message.fields.iter().find(|f| &f.name == name);
        field.is_some_and(|f| f.label == Label::Optional) || !is_zero(value)
    });
    Ok(object)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn add(object: &mut Object, field: &Field, wire: Wire<'_>) -> Result<()> {
    match field.label {
        Label::Plain | Label::Optional => {
            object.insert(field.name.clone(), value(&field.type_, wire)?);
        }
        Label::Repeated => {
            let value = value(&field.type_, wire)?;
            let items = object
                .entry(field.name.as_str())
                .or_insert_with(|| Value::Array(Vec::new()));
            items.as_array_mut().ok_or(Malformed)?.push(value);
        }
        Label::Map => {
            let (key, value) = entry(&field.type_, bytes(wire)?)?;
            let entries = object
                .entry(field.name.as_str())
                .or_insert_with(|| Value::Object(Map::new()));
            entries.as_object_mut().ok_or(Malformed)?.insert(key, value);
        }
    }
    Ok(())
}

fn entry(type_: &Type, bytes: &[u8]) -> Result<(String, Value)> {
    let mut key = String::new();
    // An absent value is an empty one.
    let mut found = value(type_, Wire::Bytes(&[]))?;
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        match number {
            1 => key = text(wire)?,
            2 => found = value(type_, wire)?,
            _ => {}
        }
    }
    Ok((key, found))
}

fn value(type_: &Type, wire: Wire<'_>) -> Result<Value> {
    Ok(match type_ {
        Type::Bool => (number(wire)? != 0).into(),
        // Negative numbers of either size fill all 64 bits.
        Type::Int32 | Type::Int64 => number(wire)?.cast_signed().into(),
        Type::Text => text(wire)?.into(),
        Type::Bytes => STANDARD.encode(bytes(wire)?).into(),
        Type::Time(micro) => time(bytes(wire)?, *micro)?,
        Type::IntOrString => int_or_string(bytes(wire)?)?,
        Type::Json => {
            let raw = first(bytes(wire)?, 1)?.unwrap_or(b"null");
            serde_json::from_slice(raw).map_err(|_| Malformed)?
        }
        Type::Texts => texts(bytes(wire)?)?,
        Type::Message(name) => message(schema::message(name), bytes(wire)?)?.into(),
    })
}

fn number(wire: Wire<'_>) -> Result<u64> {
    match wire {
        Wire::Number(value) => Ok(value),
        Wire::Bytes(_) => Err(Malformed),
    }
}

fn bytes(wire: Wire<'_>) -> Result<&[u8]> {
    match wire {
        Wire::Bytes(bytes) => Ok(bytes),
        Wire::Number(_) => Err(Malformed),
    }
}

fn text(wire: Wire<'_>) -> Result<String> {
    let text = std::str::from_utf8(bytes(wire)?).map_err(|_| Malformed)?;
    Ok(text.to_owned())
}

/// The bytes of a message's field of that number.
fn first(message: &[u8], number: u32) -> Result<Option<&[u8]>> {
    let mut reader = Reader::new(message);
    while let Some((found, wire)) = reader.next()? {
        if found == number {
            return bytes(wire).map(Some);
        }
    }
    Ok(None)
}

/// Seconds and nanoseconds since 1970; nothing at all is no time.
fn time(message: &[u8], micro: bool) -> Result<Value> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some((found, wire)) = reader.next()? {
        match found {
            1 => seconds = number(wire)?.cast_signed(),
            2 => nanos = u32::try_from(number(wire)?).map_err(|_| Malformed)?,
            _ => {}
        }
    }
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let time = DateTime::from_timestamp(seconds, nanos).ok_or(Malformed)?;
    let format = if micro {
        SecondsFormat::Micros
    } else {
        SecondsFormat::Secs
    };
    Ok(time.to_rfc3339_opts(format, true).into())
}

fn int_or_string(message: &[u8]) -> Result<Value> {
    let (mut is_text, mut integer, mut string) = (false, 0, String::new());
    let mut reader = Reader::new(message);
    while let Some((found, wire)) = reader.next()? {
        match found {
            1 => is_text = number(wire)? != 0,
            2 => integer = number(wire)?.cast_signed(),
            3 => string = text(wire)?,
            _ => {}
        }
    }
    Ok(if is_text {
        string.into()
    } else {
        integer.into()
    })
}

fn texts(message: &[u8]) -> Result<Value> {
    let mut items = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((found, wire)) = reader.next()? {
        if found == 1 {
            items.push(Value::String(text(wire)?));
        }
    }
    Ok(items.into())
}
