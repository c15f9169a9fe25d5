//! One iteration: a Query is created, its end is awaited and checked, and all of it is noted.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{DynamicObject, PostParams};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Run;
use super::ends::Seen;
use super::query::{End, Place};
use super::record::{Phase, Record};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 160;

/// Which iteration it is, and when it should have started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Iteration {
    pub(super) load: usize,
    pub(super) vu: u32,
    pub(super) number: u64,
    /// Latency counts from here, whatever delayed the start.
    pub(super) intended: Instant,
}

/// What became of the Query.
struct Result {
    phase: Phase,
    created: Option<Duration>,
    ended: Instant,
    executing: Option<Duration>,
    checks: u64,
    reason: Option<String>,
}

impl Iteration {
    /// Runs the iteration to the end of its Query, its timeout, or an interruption, and notes it.
    pub(super) async fn run(self, run: &Run, interrupt: &CancellationToken) -> Phase {
        let started = Instant::now();
        let load = &run.scenario.loads[self.load];
        let namespace = (self.number % load.namespaces.len() as u64) as usize;
        run.recorder.enter();
        let place = Place {
            run: &run.id,
            scenario: &load.name,
            namespace: &load.namespaces[namespace],
            vu: self.vu,
            iteration: self.number,
        };
        let result = match load.template.render(&place) {
            Ok(query) => {
                ask(
                    run,
                    &query,
                    place.namespace,
                    started + load.timeout,
                    interrupt,
                )
                .await
            }
            Err(error) => Result::without_end(Phase::Refused, None, format!("{error:#}")),
        };
        let record = Record {
            load: self.load,
            namespace,
            intended: run.recorder.at(self.intended),
            started: run.recorder.at(started),
            created: result.created,
            ended: run.recorder.at(result.ended),
            phase: result.phase,
            executing: result.executing,
            checks: result.checks,
        };
        run.recorder.leave(record, result.reason);
        result.phase
    }
}

async fn ask(
    run: &Run,
    query: &DynamicObject,
    namespace: &str,
    deadline: Instant,
    interrupt: &CancellationToken,
) -> Result {
    let mut expected = run.ends.expect(namespace, &query.name_any());
    let queries = run.queries(namespace);
    let params = PostParams::default();
    let create = timeout_at(deadline, queries.create(&params, query));
    let answer = tokio::select! {
        answer = create => answer,
        () = interrupt.cancelled() => {
            return Result::without_end(Phase::Interrupted, None, "the create was under way".to_owned());
        }
    };
    match answer {
        Err(_) => {
            let reason = "the create was not answered".to_owned();
            return Result::without_end(Phase::Timeout, None, reason);
        }
        Ok(Err(error)) => return Result::without_end(Phase::Refused, None, refusal(error, query)),
        Ok(Ok(_)) => {}
    }
    let created = Some(run.recorder.elapsed());
    tokio::select! {
        seen = timeout_at(deadline, expected.seen()) => match seen {
            Ok(seen) => Result::of(run, query, created, seen),
            Err(_) => Result::without_end(Phase::Timeout, created, "the Query did not end".to_owned()),
        },
        () = interrupt.cancelled() => {
            Result::without_end(Phase::Interrupted, created, "the Query was under way".to_owned())
        }
    }
}

/// What an error says, without the name that differs from Query to Query.
fn refusal(error: kube::Error, query: &DynamicObject) -> String {
    match error {
        kube::Error::Api(status) => {
            let message = status.message.replace(&query.name_any(), "…");
            let message: String = message.chars().take(MAX_REASON).collect();
            format!("{} {message}", status.code)
        }
        error => error.to_string(),
    }
}

impl Result {
    fn of(run: &Run, query: &DynamicObject, created: Option<Duration>, seen: Seen) -> Self {
        let phase = match seen.end.phase.as_str() {
            "done" => Phase::Done,
            "canceled" => Phase::Canceled,
            _ => Phase::Error,
        };
        let mut checks = 0;
        for (place, (_, check)) in run.scenario.checks.iter().enumerate() {
            checks |= u64::from(check.holds(query, &seen.end)) << place;
        }
        Self {
            phase,
            created,
            ended: seen.at,
            executing: seen.end.executing,
            checks,
            reason: (phase != Phase::Done).then(|| class(&seen.end)),
        }
    }

    fn without_end(phase: Phase, created: Option<Duration>, reason: String) -> Self {
        Self {
            phase,
            created,
            ended: Instant::now(),
            executing: None,
            checks: 0,
            reason: Some(reason),
        }
    }
}

/// The class that a failure's message begins with.
fn class(end: &End) -> String {
    let (class, _) = end.message.split_once(':').unwrap_or((&end.message, ""));
    class.chars().take(MAX_REASON).collect()
}
