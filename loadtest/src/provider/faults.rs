//! Failures on demand: asked for by the input of a request, or set for the next requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;

use super::request::{Request, word};
use super::retry_after::{Form, RetryAfter};
use super::script::digest;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error answer, and what it says about coming back.
    Status {
        status: StatusCode,
        retry_after: Option<RetryAfter>,
    },
    /// The refusal of an account without money, which no retry helps.
    Quota,
    /// The request is taken and never answered.
    Hang,
    /// The headers of an answer come, and then nothing.
    HangBody,
    /// The answer begins and then nothing more comes.
    Stall,
    /// The answer begins and then the connection is cut.
    Cut,
    /// A 200 whose body is not what was asked for.
    Garbage,
    /// A complete answer that does not say what it cost.
    NoUsage,
    /// A stream that begins and then carries an error object; an error status without streaming.
    ErrorEvent,
}

/// The names of all faults but the statuses.
const NAMES: [(&str, Fault); 9] = [
    ("quota", Fault::Quota),
    ("hang", Fault::Hang),
    ("hang-body", Fault::HangBody),
    ("stall", Fault::Stall),
    ("cut", Fault::Cut),
    ("garbage", Fault::Garbage),
    ("no-usage", Fault::NoUsage),
    ("error", Fault::ErrorEvent),
    // The name by which others ask for garbage; the log says `garbage`.
    ("malformed", Fault::Garbage),
];

impl Fault {
    /// Reads a fault's name: a status from 400 to 599, or a word.
    pub(super) fn named(name: &str, retry_after: Option<RetryAfter>) -> Option<Self> {
        match NAMES.iter().find(|(word, _)| *word == name) {
            Some((_, fault)) => Some(*fault),
            None => Self::status(name.parse().ok()?, retry_after),
        }
    }

    /// An error status; a rate limit says when to come back unless it is told to say nothing.
    fn status(status: u16, retry_after: Option<RetryAfter>) -> Option<Self> {
        let status = StatusCode::from_u16(status).ok()?;
        if !status.is_client_error() && !status.is_server_error() {
            return None;
        }
        let retry_after = match status {
            StatusCode::TOO_MANY_REQUESTS => retry_after.or(Some(RetryAfter {
                wait: DEFAULT_WAIT,
                form: Form::Seconds,
            })),
            _ => retry_after,
        };
        Some(Self::Status {
            status,
            retry_after,
        })
    }

    /// The name that the log and the inputs know it by.
    pub(super) fn name(self) -> String {
        if let Self::Status { status, .. } = self {
            return status.as_u16().to_string();
        }
        let named = NAMES.iter().find(|(_, fault)| *fault == self);
        named.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

/// What a rate limit announces when nobody asked for another wait.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// The faults that are due: those set for the next requests, the one that a share of all meets, and how often each
/// prompt has failed.
#[derive(Default)]
pub(super) struct Faults {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: VecDeque<(Fault, u64)>,
    standing: Option<Standing>,
    failed: HashMap<String, u64>,
}

/// A fault that stays, for a share of the requests between 0 and 1.
struct Standing {
    fault: Fault,
    share: f64,
    /// How often each prompt has come since.
    seen: HashMap<String, u64>,
}

impl Standing {
    /// Whether this request is of the share: that follows from its prompt and how often it came, not from the order of arrival.
    fn meets(&mut self, request: &Request) -> bool {
        let seen = self.seen.entry(request.prompt_hash.clone()).or_default();
        *seen += 1;
        let bytes = digest(&["share", &request.prompt_hash, &seen.to_string()]);
        f64::from(u16::from_be_bytes([bytes[0], bytes[1]])) < self.share * 65_536.0
    }
}

impl Faults {
    /// Sets a fault for a share of all requests, instead of an earlier one.
    pub(super) fn set_standing(&self, fault: Fault, share: f64) {
        self.state().standing = Some(Standing {
            fault,
            share,
            seen: HashMap::new(),
        });
    }

    /// Sets a fault for the next `count` requests, after those already set.
    pub(super) fn set(&self, fault: Fault, count: u64) {
        if count > 0 {
            self.state().next.push_back((fault, count));
        }
    }

    /// Takes back what was set and has not happened.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.next.clear();
        state.standing = None;
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
        if let Some(standing) = &mut state.standing
            && standing.meets(request)
        {
            return Some(standing.fault);
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
    let retry_after = asked_wait(input);
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

/// Reads `retry-after=SECONDS`, `retry-after-ms=MS` and `retry-form=FORM`.
fn asked_wait(input: &str) -> Option<RetryAfter> {
    let number = |name| word(input, name)?.parse::<u64>().ok();
    let millis = number("retry-after-ms").map(Duration::from_millis);
    let wait = millis.or_else(|| number("retry-after").map(Duration::from_secs));
    let form = word(input, "retry-form").and_then(Form::named);
    if wait.is_none() && form.is_none() {
        return None;
    }
    Some(RetryAfter {
        wait: wait.unwrap_or(DEFAULT_WAIT),
        form: form.unwrap_or(match millis {
            Some(_) => Form::Millis,
            None => Form::Seconds,
        }),
    })
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
    fn a_rate_limit_says_when_to_retry_in_the_form_asked_for() {
        let said = |input| match asked_for(input).unwrap().fault {
            Fault::Status { retry_after, .. } => {
                retry_after.map(|said| (said.wait.as_millis(), said.form))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(said("fault=429"), Some((1_000, Form::Seconds)));
        assert_eq!(
            said("fault=429 retry-after=7"),
            Some((7_000, Form::Seconds))
        );
        assert_eq!(
            said("fault=529 retry-after-ms=50"),
            Some((50, Form::Millis))
        );
        let dated = said("fault=429 retry-after=3 retry-form=date");
        assert_eq!(dated, Some((3_000, Form::Date)));
        assert_eq!(said("fault=503"), None);
        assert_eq!(asked_for("fault=200"), None);
    }

    #[test]
    fn a_standing_fault_meets_its_share() {
        let faults = Faults::default();
        faults.set_standing(Fault::Cut, 0.25);
        let meets = |n: u32| faults.take(&request(&n.to_string(), 0)).is_some();
        let met = (0..2_000).filter(|n| meets(*n)).count();
        assert!((420..580).contains(&met), "{met}");
        faults.clear();
        assert_eq!(faults.take(&request("0", 0)), None);
    }
}
