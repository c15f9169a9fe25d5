//! Go's constants: quoted strings, characters and numbers.

use super::ast::Constant;

/// Why a constant cannot be taken.
pub(super) enum Refused {
    /// Go refuses it too.
    Bad(String),
    /// Go takes it.
    Unsupported(String),
}

/// The bytes of a string in double quotes.
pub(super) fn string(source: &str) -> Result<Vec<u8>, Refused> {
    let inner = source[1..source.len() - 1].chars();
    unescape(inner, '"')
}

/// A character in single quotes, which is its number.
pub(super) fn character(source: &str) -> Result<i64, Refused> {
    let malformed = || Refused::Bad(format!("malformed character constant: {source}"));
    let inner = source[1..source.len() - 1].chars();
    let bytes = unescape(inner, '\'')?;
    if let ([byte], true) = (bytes.as_slice(), source.contains('\\')) {
        return Ok(i64::from(*byte));
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(i64::from(u32::from(c))),
        _ => Err(malformed()),
    }
}

fn unescape(mut rest: std::str::Chars<'_>, quote: char) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    while let Some(c) = rest.next() {
        if c != '\\' {
            push(&mut bytes, c);
            continue;
        }
        let escape = rest
            .next()
            .ok_or_else(|| Refused::Bad("escape at the end of a string".to_owned()))?;
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            c if c == quote => push(&mut bytes, c),
            'x' => bytes.push(byte(code(&mut rest, 2, 16, 0)?)?),
            'u' => push(&mut bytes, scalar(code(&mut rest, 4, 16, 0)?)?),
            'U' => push(&mut bytes, scalar(code(&mut rest, 8, 16, 0)?)?),
            '0'..='7' => {
                let first = escape.to_digit(8).unwrap_or(0);
                bytes.push(byte(code(&mut rest, 2, 8, first)?)?);
            }
            c => return Err(Refused::Bad(format!("unknown escape \\{c}"))),
        }
    }
    Ok(bytes)
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn code(
    rest: &mut std::str::Chars<'_>,
    digits: usize,
    radix: u32,
    start: u32,
) -> Result<u32, Refused> {
    (0..digits).try_fold(start, |value, _| {
        let digit = rest.next().and_then(|c| c.to_digit(radix));
        let digit = digit.ok_or_else(|| Refused::Bad("malformed escape".to_owned()))?;
        Ok(value.wrapping_mul(radix) | digit)
    })
}

fn byte(code: u32) -> Result<u8, Refused> {
    u8::try_from(code).map_err(|_| Refused::Bad("escape above 377".to_owned()))
}

fn scalar(code: u32) -> Result<char, Refused> {
    char::from_u32(code).ok_or_else(|| Refused::Bad("escape is no Unicode character".to_owned()))
}

/// A number: an integer in any base, else a float64.
pub(super) fn number(source: &str) -> Result<Constant, Refused> {
    let bad = || Refused::Bad(format!("bad number syntax: {source:?}"));
    if source.ends_with('i') {
        return Err(Refused::Unsupported(format!("the number {source}")));
    }
    let plain = without_underscores(source).ok_or_else(bad)?;
    let source = plain.as_str();
    if let Some(value) = integer(source) {
        return Ok(Constant::Integer(value));
    }
    let digits = source.trim_start_matches(['+', '-']);
    let value = match digits.get(..2) {
        Some("0x" | "0X") => hexadecimal_fraction(source).ok_or_else(bad)?,
        _ if digits.starts_with(['n', 'N', 'i', 'I']) || digits.contains(['o', 'O', 'b', 'B']) => {
            return Err(bad());
        }
        _ => source.parse().map_err(|_| bad())?,
    };
    let whole = digits.bytes().all(|c| c.is_ascii_digit());
    match value.is_finite() && !whole {
        true => Ok(Constant::Float(value)),
        false => Err(Refused::Bad(format!("integer overflow: {source}"))),
    }
}

// An underscore stands between two digits, or between the mark of a base and a digit.
fn without_underscores(source: &str) -> Option<String> {
    if !source.contains('_') {
        return Some(source.to_owned());
    }
    let digits = source.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let is_hexadecimal = digits.starts_with("0x");
    let has_mark = ["0x", "0o", "0b"]
        .iter()
        .any(|mark| digits.starts_with(mark));
    let is_digit = |byte: u8| match is_hexadecimal {
        true => byte.is_ascii_hexdigit(),
        false => byte.is_ascii_digit(),
    };
    let bytes = digits.as_bytes();
    let separates = |at: usize| {
        let before = at > 0 && (is_digit(bytes[at - 1]) || has_mark && at == 2);
        before && bytes.get(at + 1).is_some_and(|byte| is_digit(*byte))
    };
    let mut underscores = (0..bytes.len()).filter(|at| bytes[*at] == b'_');
    underscores.all(separates).then(|| source.replace('_', ""))
}

/// Such as `0x1.8p-1`: up to 16 digits, times a power of two that must be there.
fn hexadecimal_fraction(source: &str) -> Option<f64> {
    let negative = source.starts_with('-');
    let digits = source.strip_prefix(['+', '-']).unwrap_or(source);
    let (mantissa, exponent) = digits.get(2..)?.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()?;
    let exponent = exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?;
    // In two steps, since the power alone may be too small for a float64.
    let half = exponent / 2;
    let value = mantissa as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
    Some(if negative { -value } else { value })
}

fn integer(source: &str) -> Option<i64> {
    let (negative, digits) = match source.as_bytes().first()? {
        b'-' => (true, &source[1..]),
        b'+' => (false, &source[1..]),
        _ => (false, source),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}
