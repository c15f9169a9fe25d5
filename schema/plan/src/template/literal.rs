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
    if source.contains('_') || source.ends_with('i') {
        return Err(Refused::Unsupported(format!("the number {source}")));
    }
    let digits = source.trim_start_matches(['+', '-']);
    let is_hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    if is_hexadecimal && source.contains(['p', 'P']) {
        return Err(Refused::Unsupported(format!("the number {source}")));
    }
    if let Some(value) = integer(source) {
        return Ok(Constant::Integer(value));
    }
    if digits.starts_with(['n', 'N', 'i', 'I']) || digits.contains(['x', 'X', 'o', 'b']) {
        return Err(bad());
    }
    let value: f64 = source.parse().map_err(|_| bad())?;
    let whole = digits.bytes().all(|c| c.is_ascii_digit());
    match value.is_finite() && !whole {
        true => Ok(Constant::Float(value)),
        false => Err(Refused::Bad(format!("integer overflow: {source}"))),
    }
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
