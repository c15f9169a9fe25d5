//! A real limiter: requests and tokens per minute of each model, as token buckets that refill continuously.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::dialect::Dialect;
use super::retry_after::{at, go_duration, rfc3339, set, whole_seconds};

/// What each model may be asked; what is not given is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<f64>,
    /// Tokens per minute, prompt and answer together; the answer is reserved at its bound and settled at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<f64>,
    /// How many seconds' worth a full bucket holds.
    pub burst_seconds: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            burst_seconds: 60.0,
        }
    }
}

impl Limits {
    /// The reason why these are no limits.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let numbers = [
            self.requests_per_minute,
            self.tokens_per_minute,
            Some(self.burst_seconds),
        ];
        let sound = numbers.iter().flatten().all(|number| *number > 0.0);
        (!sound).then_some("Limits must be more than 0.")
    }
}

/// The buckets of all models.
#[derive(Default)]
pub(super) struct Limiter {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    limits: Limits,
    models: HashMap<String, [Option<Bucket>; 2]>,
}

/// One bucket: full at first, refilled at its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    per_minute: f64,
    capacity: f64,
    level: f64,
    as_of: Instant,
}

impl Bucket {
    fn full(per_minute: f64, burst_seconds: f64, now: Instant) -> Self {
        // A bucket that holds less than one request would never let one through.
        let capacity = (per_minute * burst_seconds / 60.0).max(1.0);
        Self {
            per_minute,
            capacity,
            level: capacity,
            as_of: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of).as_secs_f64();
        self.level = (self.level + passed * self.per_minute / 60.0).min(self.capacity);
        self.as_of = now;
    }

    /// How long until it holds so much.
    fn wait_for(&self, amount: f64) -> Duration {
        let missing = (amount - self.level).max(0.0);
        Duration::from_secs_f64(missing * 60.0 / self.per_minute)
    }
}

/// What the limiter says to a request.
pub(super) enum Verdict {
    /// It may go on; the headers tell what is left.
    Admitted(Option<Reservation>, HeaderMap),
    /// It must come back after a while; the headers say when.
    Refused(HeaderMap),
    /// It can never pass: it needs more than a full bucket.
    TooLarge,
}

/// Tokens that were set aside for an answer; those that it does not use go back when this is dropped.
pub(super) struct Reservation {
    limiter: Arc<Limiter>,
    model: String,
    unused: f64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        if let Some([_, Some(tokens)]) = state.models.get_mut(&self.model) {
            tokens.level = (tokens.level + self.unused).min(tokens.capacity);
        }
    }
}

impl Limiter {
    /// Sets the limits; every bucket is full again.
    pub(super) fn set(&self, limits: Limits) {
        *self.state() = State {
            limits,
            models: HashMap::new(),
        };
    }

    pub(super) fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Takes one request and `reserved` tokens of a model, of which `used` will be used, or nothing.
    pub(super) fn admit(
        self: &Arc<Self>,
        dialect: &Dialect,
        model: &str,
        reserved: usize,
        used: usize,
    ) -> Verdict {
        let mut state = self.state();
        let limits = state.limits;
        if limits.requests_per_minute.is_none() && limits.tokens_per_minute.is_none() {
            return Verdict::Admitted(None, HeaderMap::new());
        }
        let now = Instant::now();
        let buckets = state.models.entry(model.to_owned()).or_insert_with(|| {
            [limits.requests_per_minute, limits.tokens_per_minute].map(|per_minute| {
                per_minute.map(|rate| Bucket::full(rate, limits.burst_seconds, now))
            })
        });
        let amounts = [1.0, reserved as f64];
        let mut wait = Duration::ZERO;
        for (bucket, amount) in buckets.iter_mut().zip(amounts) {
            let Some(bucket) = bucket else { continue };
            if amount > bucket.capacity {
                return Verdict::TooLarge;
            }
            bucket.refill(now);
            wait = wait.max(bucket.wait_for(amount));
        }
        if !wait.is_zero() {
            let mut headers = headers(dialect, buckets);
            // The exact wait could end a moment before the bucket holds enough.
            let wait = wait + Duration::from_millis(1);
            set(
                &mut headers,
                "retry-after",
                &whole_seconds(wait).to_string(),
            );
            if matches!(dialect, Dialect::OpenAi { .. }) {
                set(
                    &mut headers,
                    "retry-after-ms",
                    &wait.as_millis().to_string(),
                );
            }
            return Verdict::Refused(headers);
        }
        for (bucket, amount) in buckets.iter_mut().zip(amounts) {
            if let Some(bucket) = bucket {
                bucket.level -= amount;
            }
        }
        let reservation = Reservation {
            limiter: Arc::clone(self),
            model: model.to_owned(),
            unused: reserved.saturating_sub(used) as f64,
        };
        Verdict::Admitted(Some(reservation), headers(dialect, buckets))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What both buckets say in the headers of a dialect: limit, what is left, and when it will be full.
fn headers(dialect: &Dialect, buckets: &[Option<Bucket>; 2]) -> HeaderMap {
    const OPENAI: [[&str; 3]; 2] = [
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
        [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ],
    ];
    const ANTHROPIC: [[&str; 3]; 2] = [
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ];
    let mut headers = HeaderMap::new();
    let names = match dialect {
        Dialect::OpenAi { .. } => OPENAI,
        Dialect::Anthropic => ANTHROPIC,
    };
    for (bucket, [limit, remaining, reset]) in buckets.iter().zip(names) {
        let Some(bucket) = bucket else { continue };
        let full = bucket.wait_for(bucket.capacity);
        let full = match dialect {
            Dialect::OpenAi { .. } => go_duration(full),
            Dialect::Anthropic => rfc3339(at(full)),
        };
        set(&mut headers, limit, &format!("{:.0}", bucket.per_minute));
        set(
            &mut headers,
            remaining,
            &format!("{:.0}", bucket.level.max(0.0).floor()),
        );
        set(&mut headers, reset, &full);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: Dialect = Dialect::OpenAi { deployment: None };

    fn admitted(limiter: &Arc<Limiter>, reserved: usize, used: usize) -> bool {
        let verdict = limiter.admit(&OPENAI, "m", reserved, used);
        matches!(verdict, Verdict::Admitted(..))
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_request_passes_after_the_announced_wait_and_not_before() {
        let limiter = Arc::new(Limiter::default());
        let requests_per_minute = Some(120.0);
        let burst_seconds = 1.0;
        limiter.set(Limits {
            requests_per_minute,
            burst_seconds,
            ..Limits::default()
        });
        assert!(admitted(&limiter, 0, 0) && admitted(&limiter, 0, 0));
        let Verdict::Refused(headers) = limiter.admit(&OPENAI, "m", 0, 0) else {
            panic!("the bucket held two");
        };
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(headers["x-ratelimit-remaining-requests"], "0");
        let wait: u64 = headers["retry-after-ms"].to_str().unwrap().parse().unwrap();
        tokio::time::advance(Duration::from_millis(wait - 5)).await;
        assert!(!admitted(&limiter, 0, 0));
        tokio::time::advance(Duration::from_millis(5)).await;
        assert!(admitted(&limiter, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn reserved_tokens_that_were_not_used_come_back() {
        let limiter = Arc::new(Limiter::default());
        limiter.set(Limits {
            tokens_per_minute: Some(100.0),
            ..Limits::default()
        });
        let first = limiter.admit(&OPENAI, "m", 90, 10);
        assert!(!admitted(&limiter, 50, 50));
        drop(first);
        assert!(admitted(&limiter, 50, 50));
        let verdict = limiter.admit(&OPENAI, "m", 101, 1);
        assert!(matches!(verdict, Verdict::TooLarge));
    }
}
