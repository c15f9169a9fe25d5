//! Reading JSON from outside as Kubernetes does: lone surrogates, duplicate keys, U+0000.

mod strict;

use std::borrow::Cow;

use serde_json::Value;

pub use strict::from_slice_strict;

/// Parses JSON after [`replace_lone_surrogates`]; of duplicate keys the last one counts.
pub fn from_slice(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(&replace_lone_surrogates(bytes))
}

/// Replaces `\u` escapes of unpaired surrogates by `\ufffd`, as Go's decoder reads them.
///
/// Borrows when there is nothing to replace. Bytes that are not JSON come back unharmed.
pub fn replace_lone_surrogates(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut replaced: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(offset) = bytes[at..].iter().position(|b| *b == b'\\') {
        at += offset;
        let Some(unit) = escaped_unit(bytes, at) else {
            // Another escape, or the end: skip the backslash and what it escapes.
            at = (at + 2).min(bytes.len());
            continue;
        };
        let high = (0xd800..0xdc00).contains(&unit);
        let paired =
            high && escaped_unit(bytes, at + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low));
        if paired {
            at += 12;
            continue;
        }
        if (0xd800..0xe000).contains(&unit) {
            let copy = replaced.get_or_insert_with(|| bytes.to_vec());
            copy[at + 2..at + 6].copy_from_slice(b"fffd");
        }
        at += 6;
    }
    replaced.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// The code unit of a `\uXXXX` escape at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
    hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// A copy without U+0000 in any string or key, which Postgres' jsonb cannot hold.
pub fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => items.iter().map(without_nul).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.replace('\0', ""), without_nul(value)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        for (text, expected) in [
            (r#""\ud800""#, "\u{fffd}"),
            (r#""\udc00x""#, "\u{fffd}x"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud800\u0041""#, "\u{fffd}A"),
            (r#""\\ud800""#, "\\ud800"),
            (r#""\\\ud800""#, "\\\u{fffd}"),
            (r#""\uD800\n""#, "\u{fffd}\n"),
            (r#""\u0000""#, "\0"),
        ] {
            assert_eq!(
                from_slice(text.as_bytes()).unwrap(),
                json!(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn other_bytes_are_left_alone() {
        for text in [
            r#"{"a":"\u00e4"}"#,
            r#""\ud83d\ude00""#,
            "\\",
            "\\u",
            "\\ud8",
            "\"\\",
            "ä",
        ] {
            let out = replace_lone_surrogates(text.as_bytes());
            assert!(matches!(out, Cow::Borrowed(_)), "{text}");
        }
        assert!(from_slice(br#""\ud8zz""#).is_err());
    }

    #[test]
    fn nul_is_dropped_from_copies() {
        let value = json!({ "a\0": ["x\0y", 1, null] });
        assert_eq!(without_nul(&value), json!({ "a": ["xy", 1, null] }));
    }
}
