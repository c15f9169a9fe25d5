//! One run, from its plan to its ending.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Class, Input, Outcome, Plan, Target, Usage};
use ark_store::{Run, Step};
use futures::FutureExt;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::agent;
use crate::failure::{Failure, Halt};
use crate::finish::Ending;
use crate::gate::Gate;
use crate::process::Process;
use crate::retry::{self, Attempt, Verdict};
use crate::runs::{Handle, Stop};
use crate::scene::Scene;
use crate::slots::Slot;
use crate::steps::Journal;
use crate::trace;

/// A claimed run with everything that it needs.
pub(crate) struct Job {
    pub(crate) run: Run,
    pub(crate) plan: Arc<Plan>,
    /// What was committed by earlier runs of the same execution.
    pub(crate) past: Vec<Step>,
    /// The execution's deadline by this process's clock.
    pub(crate) deadline: Instant,
    pub(crate) handle: Arc<Handle>,
    pub(crate) slot: Slot,
}

/// Runs `job` and hands its ending to the finisher.
pub(crate) async fn execute(process: Arc<Process>, job: Job) {
    let span = trace::execution(&job.run);
    drive(process, job).instrument(span).await;
}

/// Dropping what is under way closes its connections.
async fn drive(process: Arc<Process>, job: Job) {
    let Job {
        run,
        plan,
        past,
        deadline,
        handle,
        slot,
    } = job;
    process.metrics.queue_wait(run.waited);
    let journal = Journal::new(
        &handle,
        process.steps.clone(),
        &process.store,
        &process.metrics,
        past,
    );
    let ending = tokio::select! {
        biased;
        stop = handle.stopped() => stopped(stop, journal.usage()),
        () = tokio::time::sleep_until(deadline) => Some(timed_out(journal.usage())),
        result = AssertUnwindSafe(answer(&process, &run, &plan, &journal, &handle)).catch_unwind() => match result.unwrap_or_else(|_| Err(panicked())) {
            Ok(outcome) => Some(Ending::Outcome(outcome)),
            Err(Halt::Canceled) => stopped(Stop::Canceled, journal.usage()),
            // The gate was shut by whoever stopped the run, or a fenced write found it elsewhere. It may still be here
            // when the answer to an earlier try of that write was lost: then it goes on from what is committed.
            Err(Halt::Lost) => stopped(handle.stop_asked().unwrap_or(Stop::Drained), journal.usage()),
            Err(Halt::Failed(failure)) => Some(failed(&run, failure, &journal, deadline)),
        },
    };
    match ending {
        Some(ending) => process.finisher.end(Arc::clone(&handle), slot, ending),
        None => process.runs.remove(&handle),
    }
}

async fn answer(
    process: &Process,
    run: &Run,
    plan: &Plan,
    journal: &Journal<'_>,
    handle: &Arc<Handle>,
) -> Result<Outcome, Halt> {
    let input: Input = serde_json::from_str(&run.input).map_err(|_| {
        Failure::new(
            Class::Internal,
            "The stored input of this execution cannot be read.",
        )
    })?;
    let id = format!("{}/{}", run.uid, run.round);
    let gate = Gate::new(process.lease.clone(), Arc::clone(handle));
    let scene = Scene {
        id: &id,
        attempt: run.attempt,
        trace: run.trace.as_deref(),
        input: &input,
        journal,
        gate: &gate,
        models: &process.models,
        tools: &process.tools,
        secrets: &process.secrets,
    };
    match &plan.target {
        Target::Agent(agent) => {
            let span = trace::invoke_agent(agent);
            agent::run_agent(&scene, agent).instrument(span).await
        }
        Target::Model(model) => agent::run_model(&scene, model).await,
        Target::Tool(tool) => agent::run_tool(&scene, tool).await,
    }
}

/// What becomes of a run that was told to stop; `None`: nothing may be written.
pub(crate) fn stopped(stop: Stop, usage: Usage) -> Option<Ending> {
    match stop {
        Stop::Canceled => Some(Ending::Outcome(Outcome {
            usage,
            ..Outcome::canceled()
        })),
        Stop::Lost => None,
        Stop::GiveBack => Some(Ending::GiveBack),
        Stop::Drained => Some(Ending::Later {
            delay: Duration::ZERO,
            attempt_counts: false,
        }),
    }
}

fn failed(run: &Run, failure: Failure, journal: &Journal<'_>, deadline: Instant) -> Ending {
    trace::failed(&Span::current(), failure.class.as_str());
    let attempt = Attempt {
        number: run.attempt,
        progressed: journal.progressed(),
        remaining: deadline.saturating_duration_since(Instant::now()),
        jitter: rand::random(),
    };
    tracing::info!(
        execution = run.execution,
        namespace = run.namespace,
        name = run.name,
        class = failure.class.as_str(),
        reason = failure.sentence,
        attempt = run.attempt,
        "an attempt failed"
    );
    match retry::decide(&failure, attempt) {
        Verdict::Later {
            delay,
            attempt_counts,
        } => Ending::Later {
            delay,
            attempt_counts,
        },
        Verdict::End => {
            let tried = if run.attempt > 1 {
                format!(" (after {} attempts)", run.attempt)
            } else {
                String::new()
            };
            let sentence = format!("{}{tried}", failure.sentence);
            Ending::Outcome(Outcome {
                usage: journal.usage(),
                ..Outcome::error(failure.class, sentence)
            })
        }
    }
}

/// The end of a run whose deadline has passed.
pub(crate) fn timed_out(usage: Usage) -> Ending {
    let sentence = "the query was not finished within its timeout; raise spec.timeout";
    Ending::Outcome(Outcome {
        usage,
        ..Outcome::error(Class::TimedOutInExecution, sentence)
    })
}

/// One run's fault must neither keep its slot nor leave its row to nobody.
fn panicked() -> Halt {
    Failure::new(
        Class::Internal,
        "The worker failed in an unforeseen way; its log says where.",
    )
    .into()
}
