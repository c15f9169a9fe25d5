//! The one claimer of a process: slots first, then as many executions as there are slots, then their plans and past
//! steps, then off they go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Class, FORMAT, Outcome};
use ark_store::{Claimed, Look, Run, Step};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::finish::Ending;
use crate::gate::Lease;
use crate::process::Process;
use crate::run::{Job, execute};
use crate::runs::{Handle, Stop};
use crate::slots::{Slot, Slots};

/// Claims until `shutdown`; `tasks` holds every run.
pub(crate) struct Claimer {
    pub(crate) process: Arc<Process>,
    pub(crate) slots: Slots,
    pub(crate) ready: Arc<Notify>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// Runs of one claim with the moment before which the statement was sent.
struct Batch {
    runs: Vec<Run>,
    more: Look,
    sent: Instant,
}

impl Claimer {
    pub(crate) async fn run(self) {
        let mut poll = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut busy = Backoff::new(Duration::from_millis(4), Duration::from_millis(50));
        loop {
            let free = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                free = self.slots.take() => free,
            };
            let lease = *self.process.lease.borrow();
            // Not interrupted by the shutdown: what was claimed has to be known.
            let batch = self.claim(lease, free.len()).await;
            let look = batch.more;
            if !batch.runs.is_empty() {
                poll.reset();
                busy.reset();
            }
            self.start(batch, lease, free);
            match look {
                Look::Full => {}
                Look::Busy => busy.sleep().await,
                Look::Empty => self.wait(poll.pause()).await,
            }
        }
    }

    /// Nudges that came since before the claim are kept by `Notify`, so none is missed between looking and waiting.
    async fn wait(&self, pause: Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.ready.notified() => {}
            () = self.slots.freed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    async fn claim(&self, lease: Lease, slots: usize) -> Batch {
        let run_token = Uuid::new_v4();
        let closed = self.process.limits.closed();
        let want = i64::try_from(slots).unwrap_or(i64::MAX);
        let sent = Instant::now();
        match self
            .process
            .store
            .claim(lease.incarnation, run_token, want, FORMAT, &closed)
            .await
        {
            Ok(Claimed { runs, more }) => Batch { runs, more, sent },
            Err(error) => {
                tracing::warn!(%error, "a claim's answer was lost; reading it back");
                self.read_back(lease, run_token).await
            }
        }
    }

    /// What a claim took although its answer never came. Until it is known, nothing else is claimed.
    async fn read_back(&self, lease: Lease, run_token: Uuid) -> Batch {
        let mut backoff = Backoff::database();
        loop {
            backoff.sleep().await;
            let sent = Instant::now();
            if self.process.lease.borrow().incarnation != lease.incarnation
                || self.shutdown.is_cancelled()
            {
                return Batch {
                    runs: Vec::new(),
                    more: Look::Empty,
                    sent,
                };
            }
            match self
                .process
                .store
                .claimed(lease.incarnation, run_token)
                .await
            {
                Ok(runs) => {
                    return Batch {
                        runs,
                        more: Look::Empty,
                        sent,
                    };
                }
                Err(error) => tracing::debug!(%error, "not yet"),
            }
        }
    }

    fn start(&self, batch: Batch, lease: Lease, free: Vec<OwnedSemaphorePermit>) {
        let process = Arc::clone(&self.process);
        process.metrics.claimed.inc_by(batch.runs.len() as u64);
        let mut entered = Vec::with_capacity(batch.runs.len());
        for (run, permit) in batch.runs.into_iter().zip(free) {
            // None: the lease was lost meanwhile, and so is the run.
            let Some(handle) = process
                .runs
                .insert(run.execution, run.run_token, lease.incarnation)
            else {
                continue;
            };
            if self.shutdown.is_cancelled() {
                handle.stop(Stop::GiveBack);
            }
            entered.push(Entered {
                deadline: batch.sent + run.remaining,
                run,
                handle,
                slot: self.slots.occupy(permit),
            });
        }
        if !entered.is_empty() {
            let tasks = self.tasks.clone();
            self.tasks
                .spawn(async move { load(process, entered, &tasks).await });
        }
    }
}

/// A run that has its slot but not yet its plan.
struct Entered {
    run: Run,
    deadline: Instant,
    handle: Arc<Handle>,
    slot: Slot,
}

/// Reads plans and past steps of a whole claim in two statements and lets the runs go.
async fn load(process: Arc<Process>, entered: Vec<Entered>, tasks: &TaskTracker) {
    let hashes: Vec<_> = entered.iter().map(|one| one.run.plan).collect();
    let resumed: Vec<_> = entered
        .iter()
        .filter(|one| one.run.resumed)
        .map(|one| one.run.execution)
        .collect();
    let mut backoff = Backoff::database();
    let (plans, mut past) = loop {
        let (plans, steps) = tokio::join!(
            process.plans.get(&process.store, &hashes),
            past(&process, &resumed)
        );
        match (plans, steps) {
            (Ok(plans), Ok(steps)) => break (plans, steps),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "plans and steps cannot be read yet")
            }
        }
        if entered
            .iter()
            .all(|one| one.handle.stop_asked() == Some(Stop::Lost))
        {
            entered
                .iter()
                .for_each(|one| process.runs.remove(&one.handle));
            return;
        }
        backoff.sleep().await;
    };
    for Entered {
        run,
        deadline,
        handle,
        slot,
    } in entered
    {
        let Some(plan) = plans.get(&run.plan).cloned() else {
            let sentence = "The stored plan of this execution cannot be read by this version.";
            process.finisher.end(
                handle,
                slot,
                Ending::Outcome(Outcome::error(Class::Internal, sentence)),
            );
            continue;
        };
        let past = past.remove(&run.execution).unwrap_or_default();
        tasks.spawn(execute(
            Arc::clone(&process),
            Job {
                run,
                plan,
                past,
                deadline,
                handle,
                slot,
            },
        ));
    }
}

async fn past(
    process: &Process,
    executions: &[i64],
) -> Result<HashMap<i64, Vec<Step>>, ark_store::Error> {
    let mut past: HashMap<i64, Vec<Step>> = HashMap::new();
    if !executions.is_empty() {
        for step in process.store.steps(executions).await? {
            past.entry(step.execution).or_default().push(step);
        }
    }
    Ok(past)
}
