//! Failures on demand: asked for by the input of a request, or set for the next requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;

use super::request::{Request, word};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error answer; `retry_after` is in seconds.
    Status {
        status: StatusCode,
        retry_after: Option<u64>,
    },
    /// 429 of the billing family, which no retry helps.
    Quota,
    /// The request is taken and never answered.
    Hang,
    /// The answer begins and then nothing more comes.
    Stall,
    /// The answer begins and then the connection is cut.
    Cut,
    /// A 200 whose body is not what was asked for.
    Garbage,
    /// A stream that begins and then carries an error object; 500 without streaming.
    ErrorEvent,
}

impl Fault {
    /// Reads a fault's name: a status from 400 to 599, or a word.
    pub(super) fn named(name: &str, retry_after: Option<u64>) -> Option<Self> {
        match name {
            "quota" => Some(Self::Quota),
            "hang" => Some(Self::Hang),
            "stall" => Some(Self::Stall),
            "cut" => Some(Self::Cut),
            "garbage" => Some(Self::Garbage),
            "error" => Some(Self::ErrorEvent),
            status => Self::status(status.parse().ok()?, retry_after),
        }
    }

    /// An error status; a rate limit always says when to come back.
    fn status(status: u16, retry_after: Option<u64>) -> Option<Self> {
        let status = StatusCode::from_u16(status).ok()?;
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        let retry_after = match status {
            StatusCode::TOO_MANY_REQUESTS => retry_after.or(Some(1)),
            _ => retry_after,
        };
        Some(Self::Status {
            status,
            retry_after,
        })
    }

    /// The name that the log and the inputs know it by.
    pub(super) fn name(self) -> String {
        match self {
            Self::Status { status, .. } => status.as_u16().to_string(),
            Self::Quota => "quota".to_owned(),
            Self::Hang => "hang".to_owned(),
            Self::Stall => "stall".to_owned(),
            Self::Cut => "cut".to_owned(),
            Self::Garbage => "garbage".to_owned(),
            Self::ErrorEvent => "error".to_owned(),
        }
    }
}

/// The faults that are due: those set for the next requests, and how often each prompt has failed.
#[derive(Default)]
pub(super) struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: VecDeque<(Fault, u64)>,
    failed: HashMap<String, u64>,
}

impl Faults {
    /// Sets a fault for the next `count` requests, after those already set.
    pub(super) fn set(&self, fault: Fault, count: u64) {
        if count > 0 {
            self.state().next.push_back((fault, count));
        }
    }

    /// Takes back what was set and has not happened.
    pub(super) fn clear(&self) {
        self.state().next.clear();
    }

    /// How many of the next requests will fail.
    pub(super) fn pending(&self) -> u64 {
        self.state().next.iter().map(|(_, count)| count).sum()
    }

    /// The fault that this request meets, counted as having happened.
    pub(super) fn take(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state();
        if let Some((fault, count)) = state.next.front_mut() {
            let fault = *fault;
            *count -= 1;
            if *count == 0 {
                state.next.pop_front();
            }
            return Some(fault);
        }
        let asked = asked_for(&request.input())?;
        if asked.turn.is_some_and(|turn| turn != request.turn()) {
            return None;
        }
        if let Some(limit) = asked.limit {
            let failed = state.failed.entry(request.prompt_hash.clone());
            let failed = failed.or_default();
            if *failed >= limit {
                return None;
            }
            *failed += 1;
        }
        Some(asked.fault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault that an input asks for; without turn or limit it meets every request of the conversation.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    fault: Fault,
    turn: Option<usize>,
    limit: Option<u64>,
}

/// Reads `fault=KIND@TURN*LIMIT`; what does not parse asks for nothing.
fn asked_for(input: &str) -> Option<Asked> {
    let asked = word(input, "fault")?;
    let retry_after = word(input, "retry-after").and_then(|seconds| seconds.parse().ok());
    let (asked, limit) = match asked.split_once('*') {
        Some((asked, limit)) => (asked, Some(limit.parse().ok()?)),
        None => (asked, None),
    };
    let (name, turn) = match asked.split_once('@') {
        Some((name, turn)) => (name, Some(turn.parse().ok()?)),
        None => (asked, None),
    };
    let fault = Fault::named(name, retry_after)?;
    Some(Asked { fault, turn, limit })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(input: &str, replies: usize) -> Request {
        let mut messages = vec![json!({"role": "user", "content": input})];
        messages.resize(1 + replies, json!({"role": "assistant", "content": ""}));
        let body = json!({"model": "m", "messages": messages}).to_string();
        Request::parse(body.as_bytes(), None).unwrap()
    }

    #[test]
    fn a_limited_fault_counts_per_prompt() {
        let faults = Faults::default();
        let fails = |input| faults.take(&request(input, 0)).is_some();
        let input = "a fault=500*2";
        assert_eq!(
            [fails(input), fails(input), fails(input)],
            [true, true, false]
        );
        assert!(fails("b fault=500*2"));
    }

    #[test]
    fn a_fault_may_wait_for_its_turn() {
        let faults = Faults::default();
        let fails = |replies| faults.take(&request("fault=hang@2*1", replies));
        let taken = [fails(0), fails(1), fails(1), fails(2)];
        assert_eq!(taken, [None, Some(Fault::Hang), None, None]);
    }

    #[test]
    fn set_faults_come_first_and_in_order() {
        let faults = Faults::default();
        faults.set(Fault::Hang, 1);
        faults.set(Fault::Cut, 1);
        let taken = [0; 3].map(|_| faults.take(&request("fault=quota", 0)));
        let expected = [Fault::Hang, Fault::Cut, Fault::Quota];
        assert_eq!(taken, expected.map(Some));
    }

    #[test]
    fn a_rate_limit_always_says_when_to_retry() {
        let seconds = |input| match asked_for(input).unwrap().fault {
            Fault::Status { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        assert_eq!(seconds("fault=429"), Some(1));
        assert_eq!(seconds("fault=429 retry-after=7"), Some(7));
        assert_eq!(seconds("fault=503"), None);
        assert_eq!(asked_for("fault=200"), None);
    }
}
