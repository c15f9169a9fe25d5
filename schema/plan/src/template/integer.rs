//! Prints integers as Go's `fmt` does.

use super::format::{Spec, pad};
use super::quote::{is_printable, quoted};
use super::value::Value;

/// Prints an integer or a byte; prints nothing and says no when the verb is none for integers.
pub(super) fn print(out: &mut Vec<u8>, spec: &Spec, verb: char, value: &Value<'_>) -> bool {
    let (negative, size, is_byte) = match value {
        Value::Integer(value) => (*value < 0, value.unsigned_abs(), false),
        Value::Byte(value) => (false, u64::from(*value), true),
        _ => return false,
    };
    let character = match verb {
        'c' => character(negative, size).to_string(),
        'q' => {
            let character = character(negative, size).to_string();
            quoted(character.as_bytes(), '\'', spec.plus)
        }
        'U' => {
            let spec = unfilled(spec);
            let code = match negative {
                true => size.wrapping_neg(),
                false => size,
            };
            pad(out, &spec, unicode(&spec, code).as_bytes());
            return true;
        }
        verb => {
            let verb = match verb {
                'v' if spec.go_syntax && is_byte => 'x',
                'v' => 'd',
                verb => verb,
            };
            return number(out, spec, verb, negative, size, spec.go_syntax && is_byte);
        }
    };
    pad(out, spec, character.as_bytes());
    true
}

fn number(
    out: &mut Vec<u8>,
    spec: &Spec,
    verb: char,
    negative: bool,
    size: u64,
    prefixed: bool,
) -> bool {
    let digits = match verb {
        'd' => size.to_string(),
        'b' => format!("{size:b}"),
        'o' | 'O' => format!("{size:o}"),
        'x' => format!("{size:x}"),
        'X' => format!("{size:X}"),
        _ => return false,
    };
    let prefix = match verb {
        'O' => "0o",
        'b' if spec.sharp => "0b",
        'x' if spec.sharp || prefixed => "0x",
        'X' if spec.sharp => "0X",
        _ => "",
    };
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let wanted = match spec.precision {
        Some(0) if size == 0 => {
            pad(out, &unfilled(spec), b"");
            return true;
        }
        Some(precision) => precision,
        None if spec.zero && !spec.minus => spec.width.unwrap_or(0).saturating_sub(sign.len()),
        None => 0,
    };
    let mut zeros = "0".repeat(wanted.saturating_sub(digits.len()));
    if matches!(verb, 'o' | 'O') && spec.sharp && zeros.is_empty() && !digits.starts_with('0') {
        zeros.push('0');
    }
    let text = format!("{sign}{prefix}{zeros}{digits}");
    pad(out, &unfilled(spec), text.as_bytes());
    true
}

fn unicode(spec: &Spec, code: u64) -> String {
    let precision = spec.precision.unwrap_or(4).max(4);
    let digits = format!("{code:X}");
    let zeros = "0".repeat(precision.saturating_sub(digits.len()));
    let shown = u32::try_from(code).ok().and_then(char::from_u32);
    match shown.filter(|c| spec.sharp && is_printable(*c)) {
        Some(c) => format!("U+{zeros}{digits} '{c}'"),
        None => format!("U+{zeros}{digits}"),
    }
}

fn character(negative: bool, size: u64) -> char {
    let code = u32::try_from(size).ok().filter(|_| !negative);
    code.and_then(char::from_u32).unwrap_or('\u{fffd}')
}

// Where zeros are digits, the rest of the width is space.
fn unfilled(spec: &Spec) -> Spec {
    Spec {
        zero: false,
        ..*spec
    }
}
