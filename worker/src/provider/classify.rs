//! What a provider's refusal means: status, headers and body to a [`Failure`]. Pure.

use ark_plan::Class;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::retry_after::retry_after;
use crate::failure::Failure;

/// Longest part of a provider's own message that is shown to users.
const MAX_MESSAGE_CHARS: usize = 300;

/// Classes an answer whose status is not a success.
pub(crate) fn refusal(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: DateTime<Utc>,
) -> Failure {
    let error = ErrorBody::read(body);
    let mut class = class_of(status, &error);
    match header(headers, "x-should-retry") {
        Some("false") if class.is_retryable() => class = Class::Rejected,
        Some("true") if !class.is_retryable() => class = Class::Ambiguous,
        _ => {}
    }
    Failure::new(class, sentence(class, status, &error)).retry_after(retry_after(headers, now))
}

/// Classes an error object that stands where a part of the answer was expected, as some servers send after HTTP 200.
pub(crate) fn error_object(error: &Value) -> Failure {
    let error = ErrorBody::from_value(error);
    let status = match error.kind.as_str() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        _ => 500,
    };
    let status = error.code.parse::<u16>().unwrap_or(status);
    let class = class_of(status, &error);
    Failure::new(class, sentence(class, status, &error))
}

fn class_of(status: u16, error: &ErrorBody) -> Class {
    const MONEY: [&str; 7] = [
        "insufficient_quota",
        "billing_error",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
    ];
    const CROWDED: [&str; 4] = [
        "rate_limit_exceeded",
        "rate_limit_error",
        "overloaded_error",
        "slow_down",
    ];
    let named = |names: &[&str]| {
        names
            .iter()
            .any(|name| error.kind == *name || error.code == *name)
    };
    if status == 402 || named(&MONEY) {
        return Class::Quota;
    }
    if named(&CROWDED) {
        return Class::Capacity;
    }
    match status {
        408 | 409 | 429 | 503 | 529 => Class::Capacity,
        500..=599 => Class::Ambiguous,
        _ => Class::Rejected,
    }
}

fn sentence(class: Class, status: u16, error: &ErrorBody) -> String {
    let what = match (class, status) {
        (Class::Quota, _) => "The provider's quota or credit is used up; raise it there, then ask again".to_owned(),
        (Class::Capacity, _) => format!("The provider is over its capacity or our rate (HTTP {status})"),
        (Class::Ambiguous, _) => format!("The provider failed (HTTP {status})"),
        (_, 401 | 403) => {
            // The provider's own words may repeat a part of the key.
            return format!("The provider refused the credential of the Model (HTTP {status}); check its apiKey.");
        }
        (_, 404) => "The provider does not know the address or the model (HTTP 404); check baseUrl and model".to_owned(),
        (_, 300..=399) => format!("The provider answered with a redirect (HTTP {status}); set baseUrl to the final address"),
        _ => format!("The provider refused the request (HTTP {status})"),
    };
    match error.message.as_str() {
        "" => format!("{what}."),
        message => {
            let short: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
            format!("{what}: {short}")
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The fields of an error object, in OpenAI's or Anthropic's form, that decide anything; numbers are accepted where strings are documented.
#[derive(Debug, Default)]
struct ErrorBody {
    kind: String,
    code: String,
    message: String,
}

impl ErrorBody {
    fn read(body: &[u8]) -> Self {
        let value: Value = ark_api::json::from_slice(body).unwrap_or_default();
        Self::from_value(value.get("error").unwrap_or(&value))
    }

    fn from_value(error: &Value) -> Self {
        let text = |field: &str| match error.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        Self {
            kind: text("type"),
            code: text("code"),
            message: text("message"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .with_timezone(&Utc)
    }

    fn classed(status: u16, body: &str) -> Failure {
        refusal(
            status,
            &HeaderMap::new(),
            body.as_bytes(),
            at("2026-01-01T00:00:00Z"),
        )
    }

    #[test]
    fn statuses_and_codes() {
        let cases = [
            (
                429,
                r#"{"error":{"type":"rate_limit","message":"slow"}}"#,
                Class::Capacity,
            ),
            (
                429,
                r#"{"error":{"type":"insufficient_quota"}}"#,
                Class::Quota,
            ),
            (
                429,
                r#"{"error":{"code":"project_spend_limit_exceeded"}}"#,
                Class::Quota,
            ),
            (402, "", Class::Quota),
            (503, "<html>", Class::Capacity),
            (529, "", Class::Capacity),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Class::Capacity,
            ),
            (
                403,
                r#"{"type":"error","error":{"type":"billing_error","message":"no credit"}}"#,
                Class::Quota,
            ),
            (500, r#"{"error":"boom"}"#, Class::Ambiguous),
            (504, "", Class::Ambiguous),
            (
                400,
                r#"{"error":{"code":400,"message":"bad"}}"#,
                Class::Rejected,
            ),
            (401, "", Class::Rejected),
            (307, "", Class::Rejected),
        ];
        for (status, body, class) in cases {
            assert_eq!(classed(status, body).class, class, "{status} {body}");
        }
    }

    #[test]
    fn messages_are_shown_but_never_a_key_or_a_raw_body() {
        assert!(
            classed(400, r#"{"error":{"message":"unknown parameter x"}}"#)
                .sentence
                .contains("unknown parameter x")
        );
        assert!(
            !classed(401, r#"{"error":{"message":"bad key sk-123"}}"#)
                .sentence
                .contains("sk-123")
        );
        assert!(
            !classed(502, "<html>secret</html>")
                .sentence
                .contains("secret")
        );
    }

    #[test]
    fn the_server_may_overrule_the_status() {
        let mut headers = HeaderMap::new();
        headers.insert("x-should-retry", "false".parse().unwrap());
        assert_eq!(
            refusal(503, &headers, b"", Utc::now()).class,
            Class::Rejected
        );
    }
}
