//! When to come back: each form in which providers say it.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, SecondsFormat, Utc};

/// A wait that an error answer announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryAfter {
    pub(super) wait: Duration,
    pub(super) form: Form,
}

/// The headers that say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// `retry-after` in whole seconds.
    #[default]
    Seconds,
    /// `retry-after` as an HTTP date.
    Date,
    /// `retry-after-ms`.
    Millis,
    /// `x-ratelimit-reset-requests` as OpenAI writes durations: `1m30s`, `250ms`.
    OpenAi,
    /// `anthropic-ratelimit-requests-reset` as an RFC 3339 time.
    Anthropic,
    /// Nothing says it.
    Nothing,
}

impl Form {
    /// The name that inputs and `/admin/faults` use.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "seconds" => Self::Seconds,
            "date" => Self::Date,
            "ms" => Self::Millis,
            "openai" => Self::OpenAi,
            "anthropic" => Self::Anthropic,
            "none" => Self::Nothing,
            _ => return None,
        })
    }
}

impl RetryAfter {
    /// Adds the headers of its form; times that a form cannot hold are rounded up, never down.
    pub(super) fn announce(&self, headers: &mut HeaderMap) {
        let (name, value) = match self.form {
            Form::Seconds => ("retry-after", whole_seconds(self.wait).to_string()),
            Form::Date => ("retry-after", http_date(at(self.wait))),
            Form::Millis => ("retry-after-ms", self.wait.as_millis().to_string()),
            Form::OpenAi => ("x-ratelimit-reset-requests", go_duration(self.wait)),
            Form::Anthropic => ("anthropic-ratelimit-requests-reset", rfc3339(at(self.wait))),
            Form::Nothing => return,
        };
        set(headers, name, &value);
    }
}

/// Sets a header whose value we wrote.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Seconds, rounded up.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// The time after the wait, rounded up to a whole second.
pub(super) fn at(wait: Duration) -> DateTime<Utc> {
    let time = DateTime::<Utc>::from(SystemTime::now() + wait);
    let up = i64::from(time.timestamp_subsec_nanos() > 0);
    DateTime::from_timestamp(time.timestamp() + up, 0).unwrap_or(time)
}

/// RFC 3339 in seconds.
pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// RFC 9110's preferred date.
fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A duration as Go prints it, which is how OpenAI's reset headers are written.
pub(super) fn go_duration(wait: Duration) -> String {
    let millis = wait.as_millis();
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, millis) = (millis / 60_000, millis % 60_000);
    let seconds = match millis % 1000 {
        0 => format!("{}s", millis / 1000),
        part => {
            let text = format!("{}.{part:03}", millis / 1000);
            format!("{}s", text.trim_end_matches('0'))
        }
    };
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let written = |millis| go_duration(Duration::from_millis(millis));
        assert_eq!(
            [250, 1_000, 1_500, 90_000, 360_000, 3_600_000].map(written),
            ["250ms", "1s", "1.5s", "1m30s", "6m0s", "1h0m0s"]
        );
    }

    #[test]
    fn no_form_announces_less_than_the_wait() {
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        let before = Utc::now();
        let after = at(Duration::from_millis(1_500));
        assert!(after - before >= chrono::Duration::milliseconds(1_500));
        assert_eq!(after.timestamp_subsec_nanos(), 0);
    }

    #[test]
    fn an_http_date_has_its_english_form() {
        let time = DateTime::from_timestamp(784_111_777, 0).unwrap();
        assert_eq!(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
