//! Durations in Go's syntax, as `metav1.Duration` reads and writes them.

use std::time::Duration;

use thiserror::Error;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// The text does not follow Go's syntax.
    #[error("{0:?} is not a duration: write it like 90s, 5m or 1h30m")]
    Syntax(String),
    /// The duration is below zero.
    #[error("{0:?} is negative")]
    Negative(String),
    /// The duration exceeds Go's range of 2^63 nanoseconds, about 292 years.
    #[error("{0:?} is too long")]
    Range(String),
}

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration such as `300ms`, `1h30m` or `1.5h`; a plain `0` is one too.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let syntax = || DurationError::Syntax(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(syntax());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (amount, tail) = leading_term(rest).ok_or_else(syntax)?;
        nanos = nanos
            .checked_add(amount)
            .filter(|n| *n <= i64::MAX as u128)
            .ok_or_else(|| DurationError::Range(text.to_owned()))?;
        rest = tail;
    }
    if negative && nanos > 0 {
        return Err(DurationError::Negative(text.to_owned()));
    }
    Ok(Duration::from_nanos(nanos as u64))
}

/// Nanoseconds of the first number with its unit, and what follows; saturates far beyond Go's range.
fn leading_term(text: &str) -> Option<(u128, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;

    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = match whole {
        "" => 0,
        digits => digits.parse().unwrap_or(u128::from(u64::MAX)),
    };
    let fraction = &fraction[..fraction.len().min(18)];
    let parts: u128 = fraction.parse().unwrap_or(0);
    let part_scale = 10u128.pow(fraction.len() as u32);
    let nanos = whole.saturating_mul(scale) + parts * scale / part_scale;
    Some((nanos, rest))
}

/// Writes a duration as Go does: `5m0s`, `720h0m0s`, `1.5s`, `300ms`, `0s`.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 6)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = decimal(nanos % 60_000_000_000, 9);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `nanos` with the point moved left by `digits`, without trailing zeros.
fn decimal(nanos: u128, digits: u32) -> String {
    let unit = 10u128.pow(digits);
    let width = digits as usize;
    let text = format!("{}.{:0width$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_is_gos() {
        for (text, canonical) in [
            ("5m", "5m0s"),
            ("720h", "720h0m0s"),
            ("1.5h", "1h30m0s"),
            ("90s", "1m30s"),
            ("1h30m", "1h30m0s"),
            ("300ms", "300ms"),
            ("1.5s", "1.5s"),
            ("2us", "2µs"),
            ("1500ns", "1.5µs"),
            ("7ns", "7ns"),
            (".5s", "500ms"),
            ("+1m", "1m0s"),
            ("0", "0s"),
            ("0h", "0s"),
            ("-0s", "0s"),
            ("2562047h47m16.854775807s", "2562047h47m16.854775807s"),
        ] {
            assert_eq!(format(parse(text).unwrap()), canonical, "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "", "5", "5 m", "m", "1d", ".s", "1.2.3s", "5m3", "+", "5M", "١s",
        ] {
            assert!(
                matches!(parse(text), Err(DurationError::Syntax(_))),
                "{text}"
            );
        }
        assert!(matches!(parse("-5m"), Err(DurationError::Negative(_))));
        assert!(matches!(parse("3000000h"), Err(DurationError::Range(_))));
        assert!(matches!(
            parse("99999999999999999999999999999999999999999h"),
            Err(DurationError::Range(_))
        ));
    }
}
