//! When an execution must be over, and its place among the others.

use std::time::Duration;

use ark_api::{Query, duration};
use kube::ResourceExt;

use super::{Owner, Unplannable};
use crate::Class;

/// Query annotation: 0 to 9, higher first, 5 by default.
pub const PRIORITY: &str = "ark.mckinsey.com/priority";

const TIMEOUT: Duration = Duration::from_secs(5 * 60);
const TTL: Duration = Duration::from_secs(720 * 3600);
const DEFAULT_PRIORITY: i16 = 5;

/// The bounds of an execution in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of the wait, and again of the execution.
    pub timeout: Duration,
    /// Of the finished Query's life.
    pub ttl: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            ttl: TTL,
        }
    }
}

/// Reads `spec.timeout` and `spec.ttl`.
pub fn bounds(query: &Query) -> Result<Bounds, Unplannable> {
    let read = |field: &str, text: &Option<String>, default: Duration| match text {
        None => Ok(default),
        Some(text) => duration::parse(text).map_err(|error| Unplannable {
            class: Class::Configuration,
            sentence: format!("{}: {field}: {error}", Owner::of("Query", query)),
        }),
    };
    Ok(Bounds {
        timeout: read("spec.timeout", &query.spec.timeout, TIMEOUT)?,
        ttl: read("spec.ttl", &query.spec.ttl, TTL)?,
    })
}

pub(super) fn priority(query: &Query, warnings: &mut Vec<String>) -> i16 {
    let Some(text) = query.annotations().get(PRIORITY) else {
        return DEFAULT_PRIORITY;
    };
    match text.parse() {
        Ok(priority @ 0..=9) => priority,
        _ => {
            warnings.push(format!("the annotation {PRIORITY} is {text:?}, not a number from 0 to 9: {DEFAULT_PRIORITY} is used"));
            DEFAULT_PRIORITY
        }
    }
}

/// The class of a new execution, smaller first: by priority, then by how soon it must be done.
pub fn class(priority: i16, timeout: Duration) -> i16 {
    let slack = match timeout.as_secs_f64() / 60.0 {
        ..=1.0 => 0,
        ..=5.0 => 1,
        ..=30.0 => 2,
        _ => 3,
    };
    40 + (9 - priority.clamp(0, 9)) * 4 + slack
}
