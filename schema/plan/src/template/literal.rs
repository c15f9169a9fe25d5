//! Go's constants: quoted strings, characters and numbers, printed as `{{constant}}` prints them.

use super::go_value::float;

/// Why a constant cannot be taken.
pub(super) enum Refused {
    /// Go refuses it too.
    Bad(String),
    /// Go takes it.
    Unsupported(String),
}

/// The text of a string in double quotes.
pub(super) fn string(source: &str) -> Result<String, Refused> {
    let inner = source[1..source.len() - 1].chars();
    unescape(inner, '"')
}

/// A character in single quotes, which prints as its number.
pub(super) fn character(source: &str) -> Result<String, Refused> {
    let inner = source[1..source.len() - 1].chars();
    let text = unescape(inner, '\'')?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok((c as u32).to_string()),
        _ => Err(Refused::Bad(format!(
            "malformed character constant: {source}"
        ))),
    }
}

fn unescape(mut rest: std::str::Chars<'_>, quote: char) -> Result<String, Refused> {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escape = rest
            .next()
            .ok_or_else(|| Refused::Bad("escape at the end of a string".to_owned()))?;
        text.push(match escape {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' => '\\',
            c if c == quote => c,
            'x' => byte(code(&mut rest, 2, 16, 0)?)?,
            'u' => scalar(code(&mut rest, 4, 16, 0)?)?,
            'U' => scalar(code(&mut rest, 8, 16, 0)?)?,
            '0'..='7' => byte(code(&mut rest, 2, 8, escape.to_digit(8).unwrap_or(0))?)?,
            c => return Err(Refused::Bad(format!("unknown escape \\{c}"))),
        });
    }
    Ok(text)
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

// In Go such an escape is a byte of UTF-8, not a character.
fn byte(code: u32) -> Result<char, Refused> {
    match code {
        0..0x80 => Ok(char::from(code as u8)),
        0x80..=0xff => Err(Refused::Unsupported("an escaped byte above 7f".to_owned())),
        _ => Err(Refused::Bad("escape above 377".to_owned())),
    }
}

fn scalar(code: u32) -> Result<char, Refused> {
    char::from_u32(code).ok_or_else(|| Refused::Bad("escape is no Unicode character".to_owned()))
}

/// A number: an integer in any base, else a float64.
pub(super) fn number(source: &str) -> Result<String, Refused> {
    let bad = || Refused::Bad(format!("bad number syntax: {source:?}"));
    if source.contains('_') || source.ends_with('i') {
        return Err(Refused::Unsupported(format!("the number {source}")));
    }
    if let Some(value) = integer(source) {
        return Ok(value.to_string());
    }
    let digits = source.trim_start_matches(['+', '-']);
    if digits.starts_with(['n', 'N', 'i', 'I']) || digits.contains(['x', 'X', 'o', 'b']) {
        return Err(bad());
    }
    let value: f64 = source.parse().map_err(|_| bad())?;
    let whole = digits.bytes().all(|c| c.is_ascii_digit());
    match value.is_finite() && !whole {
        true => Ok(float(value)),
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
