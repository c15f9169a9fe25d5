//! Go's escaping functions: `html`, `js` and `urlquery`.

use super::format;
use super::quote::is_printable;
use super::value::Value;

/// The text that is escaped: one string as it is, else all arguments as `print` has them.
pub(super) fn joined(values: &[Value<'_>]) -> Vec<u8> {
    let values: Vec<Value<'_>> = values
        .iter()
        .map(|value| match value {
            Value::Missing | Value::Null => Value::text("<no value>"),
            value => value.clone(),
        })
        .collect();
    format::print(&values)
}

pub(super) fn html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => escaped.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => escaped.extend_from_slice(b"&#34;"),
            b'\'' => escaped.extend_from_slice(b"&#39;"),
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

pub(super) fn javascript(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '\'' | '"' => escaped.extend_from_slice(&[b'\\', c as u8]),
                '<' | '>' | '&' | '=' => push_code(&mut escaped, c),
                c if c < ' ' => push_code(&mut escaped, c),
                c if c.is_ascii() || is_printable(c) => push(&mut escaped, c),
                c => push_code(&mut escaped, c),
            }
        }
        escaped.extend_from_slice(chunk.invalid());
    }
    escaped
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn push_code(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes());
}

pub(super) fn url_query(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => escaped.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => escaped.push(*byte),
            byte if byte.is_ascii_alphanumeric() => escaped.push(*byte),
            byte => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}
