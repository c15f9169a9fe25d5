//! How long a provider asks to be left alone, in each form in which providers say it. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

/// What is left of each limit and when it is full again: OpenAI's and Azure's as durations, Anthropic's as times.
const LIMITS: [[&str; 2]; 6] = [
    [
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ],
    ["x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
    [
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
    [
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
    [
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ],
    [
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ],
];

/// The limits count by the minute, and a request fits long before its limit is full again.
const LONGEST_RESET: Duration = Duration::from_secs(60);

/// The wait that a refusal asks for: `retry-after-ms`, else `retry-after` in seconds or as an HTTP date (RFC 9110,
/// 10.2.3), else until those limits are full again of which nothing is left.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let number = |text: &str| text.parse::<f64>().ok();
    if let Some(millis) = header(headers, "retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    if let Some(text) = header(headers, "retry-after") {
        return match number(text) {
            Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            None => until(DateTime::parse_from_rfc2822(text).ok()?.to_utc(), now),
        };
    }
    let used_up = |remaining: &str| header(headers, remaining).is_none_or(|left| left == "0");
    LIMITS
        .iter()
        .filter(|[remaining, _]| used_up(remaining))
        .filter_map(|[_, reset]| reset_in(header(headers, reset)?, now))
        .max()
        .map(|wait| wait.min(LONGEST_RESET))
}

fn reset_in(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => until(at.to_utc(), now),
        Err(_) => go_duration(text),
    }
}

fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    Some((at - now).to_std().unwrap_or_default())
}

/// Reads a duration as Go prints it: `1h2m3.5s`, `250ms`.
fn go_duration(mut text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(digits);
        let units = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(units);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        text = rest;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<u128> {
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        retry_after(&headers, now.to_utc()).map(|wait| wait.as_millis())
    }

    #[test]
    fn each_form_is_read() {
        let date = "Thu, 01 Jan 2026 00:00:30 GMT";
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "2")]), Some(2_000));
        assert_eq!(wait(&[("retry-after", date)]), Some(30_000));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(
            wait(&[("retry-after", "2"), ("retry-after-ms", "150")]),
            Some(150)
        );
        for (text, millis) in [
            ("250ms", 250),
            ("1s", 1_000),
            ("12.5s", 12_500),
            ("6m0s", 60_000),
        ] {
            assert_eq!(
                wait(&[("x-ratelimit-reset-requests", text)]),
                Some(millis),
                "{text}"
            );
        }
        let reset = "anthropic-ratelimit-input-tokens-reset";
        assert_eq!(wait(&[(reset, "2026-01-01T00:00:07Z")]), Some(7_000));
        assert_eq!(wait(&[(reset, "2025-01-01T00:00:00Z")]), Some(0));
        assert_eq!(wait(&[("x-ratelimit-reset-tokens", "1d")]), None);
    }

    #[test]
    fn only_what_is_used_up_is_waited_for() {
        assert_eq!(
            wait(&[
                ("x-ratelimit-remaining-requests", "9"),
                ("x-ratelimit-reset-requests", "20s"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "3s"),
            ]),
            Some(3_000)
        );
    }
}
