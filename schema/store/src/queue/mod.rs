//! The queue: from the enqueue of a Query to the report of its status, one file per step of that way.

mod beat;
mod claim;
mod depth;
mod enqueue;
mod finish;
mod heads;
mod intent;
mod report;
mod requeue;
mod step;
mod upkeep;

pub use beat::{Beat, BeatConnection, Intent, RunningRow, Stop};
pub use claim::{Claimed, Look, Run};
pub use depth::{Depth, Totals, WaitingExecution, WorkerState};
pub use enqueue::{Enqueued, Existing, NewExecution, NewPlan};
pub use finish::Finish;
pub use intent::{ExpiredObject, LiveExecution};
pub use report::{Progress, Report, Reported};
pub use requeue::Retry;
pub use step::{Fenced, NewStep, Step, StepKind};
pub use upkeep::{Reaped, Upkeep, UpkeepDone};

use ark_plan::{Class, Outcome, Phase};

/// A worker is dead when its beat is this many ticks behind the clock.
pub const DEAD_AFTER_TICKS: i64 = 6;

/// The channel nudged when rows can be claimed.
pub const READY: &str = "ark_ready";
/// The channel nudged when a running execution is to stop.
pub const INTENTS: &str = "ark_intents";
/// The channel nudged when a final status is to be reported.
pub const REPORTS: &str = "ark_reports";

/// The phase as it is stored.
fn phase_from(text: &str) -> crate::Result<Phase> {
    match text {
        "done" => Ok(Phase::Done),
        "error" => Ok(Phase::Error),
        "canceled" => Ok(Phase::Canceled),
        other => Err(crate::Error::Corrupt(format!("unknown phase {other:?}"))),
    }
}

/// The outcome of an execution that the queue itself ended, where the class says it all.
fn ended_by_queue(phase: Phase, class: Option<&str>) -> Outcome {
    match (phase, class) {
        (Phase::Canceled, _) => Outcome::canceled(),
        (_, Some("TimedOutInQueue")) => Outcome::error(
            Class::TimedOutInQueue,
            "no worker took the query within its timeout; raise spec.timeout or add workers",
        ),
        (_, Some("TimedOutInExecution")) => Outcome::error(
            Class::TimedOutInExecution,
            "the query was not finished within its timeout; raise spec.timeout",
        ),
        (_, Some("WorkerLost")) => Outcome::error(
            Class::WorkerLost,
            "three workers in a row were lost while they executed this query; it is not tried again",
        ),
        _ => Outcome::error(Class::Internal, "the query was ended by the queue"),
    }
}
