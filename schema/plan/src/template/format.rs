//! How Go's `fmt` prints values: the default format, and each verb with its flags.

use serde_json::Value as Json;

use super::MAX_OUTPUT;
use super::float;
use super::integer;
use super::quote::{fits_backquotes, quoted};
use super::value::Value;

/// Flags, width and precision of a verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spec {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%#v`.
    pub(super) go_syntax: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Prints a value as `%v` does.
pub(super) fn plain(out: &mut Vec<u8>, value: &Value<'_>) {
    print_value(out, &Spec::default(), 'v', value);
}

/// As `print`: a space between two arguments of which neither is a string.
pub(super) fn print(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut after_other = false;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if after_other && !is_text {
            out.push(b' ');
        }
        plain(&mut out, value);
        after_other = !is_text;
    }
    out
}

/// As `println`: spaces between all, and a line's end.
pub(super) fn println(values: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        plain(&mut out, value);
    }
    out.push(b'\n');
    out
}

/// Prints a value with a verb; one that does not fit prints as `%!verb(type=value)`.
pub(super) fn print_value(out: &mut Vec<u8>, spec: &Spec, verb: char, value: &Value<'_>) {
    let printed = match (verb, value) {
        // Only Go's Errorf knows this one.
        ('w', _) => None,
        ('T' | 'v', value) if value.is_nothing() => Some("<nil>".to_owned()),
        ('T', value) => return print_text(out, spec, 's', value.type_name().as_bytes()),
        ('v' | 't', Value::Bool(value)) => Some(value.to_string()),
        (_, Value::Text(text)) => return print_text(out, spec, verb, text),
        (_, Value::Integer(_) | Value::Byte(_)) if integer::print(out, spec, verb, value) => return,
        (_, Value::Float(value)) => return print_float(out, spec, verb, *value),
        ('p', _) => None,
        (_, Value::List(items)) => return list(out, spec, verb, items),
        (_, Value::Object(members)) => return object(out, spec, verb, members),
        _ => None,
    };
    match printed {
        Some(text) => pad(out, spec, text.as_bytes()),
        None => misfit(out, spec, verb, value),
    }
}

fn misfit(out: &mut Vec<u8>, spec: &Spec, verb: char, value: &Value<'_>) {
    out.extend_from_slice(format!("%!{verb}(").as_bytes());
    match value.is_nothing() {
        true => out.extend_from_slice(b"<nil>"),
        false => {
            out.extend_from_slice(format!("{}=", value.type_name()).as_bytes());
            print_value(out, spec, 'v', value);
        }
    }
    out.push(b')');
}

/// Fills a text up to its width in characters, with zeros only on the left. Adds nothing to what is too long already, so
/// that a width which holds for every element of a list cannot fill the memory.
pub(super) fn pad(out: &mut Vec<u8>, spec: &Spec, text: &[u8]) {
    if out.len() > MAX_OUTPUT {
        return;
    }
    let length: usize = text
        .utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    let fill = if spec.zero && !spec.minus { b'0' } else { b' ' };
    if spec.minus {
        out.extend_from_slice(text);
    }
    out.extend(std::iter::repeat_n(fill, missing));
    if !spec.minus {
        out.extend_from_slice(text);
    }
}

fn list(out: &mut Vec<u8>, spec: &Spec, verb: char, items: &[Json]) {
    let (open, between, close) = match spec.go_syntax {
        true => ("[]interface {}{", ", ", "}"),
        false => ("[", " ", "]"),
    };
    out.extend_from_slice(open.as_bytes());
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(between.as_bytes());
        }
        element(out, spec, verb, item);
    }
    out.extend_from_slice(close.as_bytes());
}

fn object(out: &mut Vec<u8>, spec: &Spec, verb: char, members: &serde_json::Map<String, Json>) {
    let (open, between, close) = match spec.go_syntax {
        true => ("map[string]interface {}{", ", ", "}"),
        false => ("map[", " ", "]"),
    };
    out.extend_from_slice(open.as_bytes());
    for (i, (key, member)) in members.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(between.as_bytes());
        }
        print_text(out, spec, verb, key.as_bytes());
        out.push(b':');
        element(out, spec, verb, member);
    }
    out.extend_from_slice(close.as_bytes());
}

fn element(out: &mut Vec<u8>, spec: &Spec, verb: char, item: &Json) {
    match item {
        Json::Null if spec.go_syntax => out.extend_from_slice(b"interface {}(nil)"),
        Json::Null => out.extend_from_slice(b"<nil>"),
        item => print_value(out, spec, verb, &Value::of(item)),
    }
}

fn print_text(out: &mut Vec<u8>, spec: &Spec, verb: char, text: &[u8]) {
    match verb {
        'v' if spec.go_syntax => pad(
            out,
            spec,
            quoted(truncated(spec, text), '"', false).as_bytes(),
        ),
        'v' | 's' => pad(out, spec, truncated(spec, text)),
        'q' => {
            let text = truncated(spec, text);
            match spec.sharp && fits_backquotes(text) {
                true => pad(out, spec, &[b"`", text, b"`"].concat()),
                false => pad(out, spec, quoted(text, '"', spec.plus).as_bytes()),
            }
        }
        'x' | 'X' => pad(out, spec, hexadecimal(spec, verb, text).as_bytes()),
        verb => misfit(out, spec, verb, &Value::Text(text.into())),
    }
}

// The precision counts characters.
fn truncated<'t>(spec: &Spec, text: &'t [u8]) -> &'t [u8] {
    let Some(precision) = spec.precision else {
        return text;
    };
    let mut left = precision;
    let mut end = 0;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if left == 0 {
                return &text[..end];
            }
            left -= 1;
            end += c.len_utf8();
        }
        let taken = chunk.invalid().len().min(left);
        left -= taken;
        end += taken;
        if taken < chunk.invalid().len() {
            return &text[..end];
        }
    }
    text
}

fn hexadecimal(spec: &Spec, verb: char, text: &[u8]) -> String {
    let length = spec.precision.unwrap_or(text.len()).min(text.len());
    let prefix = match (spec.sharp, verb) {
        (false, _) => "",
        (true, 'x') => "0x",
        (true, _) => "0X",
    };
    let mut printed = String::with_capacity(2 * length);
    for (i, byte) in text[..length].iter().enumerate() {
        if i > 0 && spec.space {
            printed.push(' ');
        }
        if i == 0 || spec.space {
            printed.push_str(prefix);
        }
        match verb {
            'x' => printed.push_str(&format!("{byte:02x}")),
            _ => printed.push_str(&format!("{byte:02X}")),
        }
    }
    printed
}

fn print_float(out: &mut Vec<u8>, spec: &Spec, verb: char, value: f64) {
    let Some(mut text) = float::formatted(value, verb, spec.precision) else {
        return misfit(out, spec, verb, &Value::Float(value));
    };
    if spec.sharp && verb != 'b' {
        text = float::with_point(&text, verb, spec.precision);
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits.to_owned()),
        None if spec.plus => ("+", text),
        None if spec.space => (" ", text),
        None => ("", text),
    };
    let length = sign.len() + digits.len();
    let zeros = match spec.zero && !spec.minus {
        true => spec.width.unwrap_or(0).saturating_sub(length),
        false => 0,
    };
    let zeros = "0".repeat(zeros);
    pad(out, spec, format!("{sign}{zeros}{digits}").as_bytes());
}
