//! The one claimer of a process: slots first, then as many executions as there are slots, then their plans and past
//! steps, then off they go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Class, FORMAT, Outcome, Plan, Usage};
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
use crate::run::{Job, execute, stopped, timed_out};
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

/// Plans by their hash and committed steps by their execution.
type Stored = (HashMap<[u8; 32], Arc<Plan>>, HashMap<i64, Vec<Step>>);

/// Reads plans and past steps of a whole claim in two statements and lets the runs go.
async fn load(process: Arc<Process>, mut entered: Vec<Entered>, tasks: &TaskTracker) {
    let mut backoff = Backoff::database();
    while !entered.is_empty() {
        match stored(&process, &entered).await {
            Ok(stored) => return let_go(&process, entered, stored, tasks),
            Err(error) if error.is_unavailable() => {
                tracing::warn!(%error, runs = entered.len(), "plans and steps cannot be read yet");
            }
            Err(error) => return load_apart(process, entered, &error, tasks).await,
        }
        backoff.sleep().await;
        entered = entered
            .into_iter()
            .filter_map(|one| one.still_wanted(&process))
            .collect();
    }
}

/// What cannot be read harms only its own run.
async fn load_apart(
    process: Arc<Process>,
    entered: Vec<Entered>,
    error: &ark_store::Error,
    tasks: &TaskTracker,
) {
    let alone = entered.len() == 1;
    for one in entered {
        if alone {
            tracing::error!(%error, execution = one.run.execution, "what is stored of an execution cannot be read");
            let sentence =
                "What is stored of this execution cannot be read; the worker's log says why.";
            let outcome = Outcome::error(Class::Internal, sentence);
            one.end(&process, Ending::Outcome(outcome));
        } else {
            Box::pin(load(Arc::clone(&process), vec![one], tasks)).await;
        }
    }
}

async fn stored(process: &Process, entered: &[Entered]) -> Result<Stored, ark_store::Error> {
    let hashes: Vec<_> = entered.iter().map(|one| one.run.plan).collect();
    let resumed: Vec<_> = entered
        .iter()
        .filter(|one| one.run.resumed)
        .map(|one| one.run.execution)
        .collect();
    tokio::try_join!(
        process.plans.get(&process.store, &hashes),
        past(process, &resumed)
    )
}

fn let_go(
    process: &Arc<Process>,
    entered: Vec<Entered>,
    (plans, mut past): Stored,
    tasks: &TaskTracker,
) {
    for one in entered {
        let Some(plan) = plans.get(&one.run.plan).cloned() else {
            let sentence = "The stored plan of this execution cannot be read by this version.";
            let outcome = Outcome::error(Class::Internal, sentence);
            one.end(process, Ending::Outcome(outcome));
            continue;
        };
        let Entered {
            run,
            deadline,
            handle,
            slot,
        } = one;
        let past = past.remove(&run.execution).unwrap_or_default();
        let job = Job {
            run,
            plan,
            past,
            deadline,
            handle,
            slot,
        };
        tasks.spawn(execute(Arc::clone(process), job));
    }
}

impl Entered {
    /// Itself, unless it was stopped or its deadline passed while it waited: then it ends, and frees its slot.
    fn still_wanted(self, process: &Process) -> Option<Self> {
        let ending = match self.handle.stop_asked() {
            Some(stop) => stopped(stop, Usage::default()),
            None if Instant::now() < self.deadline => return Some(self),
            None => Some(timed_out(Usage::default())),
        };
        match ending {
            Some(ending) => self.end(process, ending),
            None => process.runs.remove(&self.handle),
        }
        None
    }

    fn end(self, process: &Process, ending: Ending) {
        process.finisher.end(self.handle, self.slot, ending);
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
