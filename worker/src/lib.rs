//! The worker: claims executions, runs them, writes what they came to and reports it to `Query.status`.
//!
//! One process has one [`run`]. Its life: `beat` registers an incarnation and keeps its lease; `claim` takes executions
//! for free `slots`; `run` executes each of them (`agent`, `tool`, `provider`) under a `gate` that is shut while the
//! lease is in doubt; `steps` and `commit` record what was paid for; `finish` writes endings in batches; `report` brings
//! them into Kubernetes; `upkeep` cleans up after the dead. A process without slots does the last two only.

mod agent;
mod api;
mod backoff;
mod batch;
mod beat;
mod claim;
mod commit;
mod compare;
mod delivery;
mod drain;
mod failure;
mod finish;
mod gate;
mod headers;
mod limits;
mod loops;
mod metrics;
mod nudge;
mod output_schema;
mod plans;
mod process;
mod prompt;
mod provider;
mod queries;
mod report;
mod retry;
mod run;
mod runs;
mod scene;
mod secrets;
mod slots;
mod steps;
mod tool;
mod trace;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use ark_api::admission::ModelUrlPolicy;
use ark_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use metrics::Metrics;
pub use provider::{Overrides, ProviderMode, Timeouts};

use beat::Heart;
use claim::Claimer;
use drain::Drain;
use loops::Loops;
use nudge::Nudges;
use process::Process;
use queries::Queries;
use report::Reporter;
use runs::Runs;
use slots::Slots;

/// What one worker process is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// A name for people, such as the pod's; need not be unique.
    pub name: String,
    /// Executions at once; 0 for a process that only reports and cleans up.
    pub slots: usize,
    /// Which providers are called.
    pub provider: ProviderMode,
    /// What stands above the Models' own addresses and keys in [`ProviderMode::Auto`]; nothing by default.
    pub overrides: Overrides,
    /// Which base URLs may come from Secrets; all others were checked when planning.
    pub model_url_policy: ModelUrlPolicy,
    /// The clocks of one model call.
    pub timeouts: Timeouts,
    /// How long running executions may go on after a shutdown was asked for.
    pub drain: Duration,
    /// Where the process counts what it does.
    pub metrics: Metrics,
}

impl Config {
    /// A worker with 100 slots and the usual clocks.
    pub fn new(name: impl Into<String>, provider: ProviderMode, metrics: Metrics) -> Self {
        Self {
            name: name.into(),
            slots: 100,
            provider,
            overrides: Overrides::default(),
            model_url_policy: ModelUrlPolicy::Local,
            timeouts: Timeouts::default(),
            drain: Duration::from_secs(60),
            metrics,
        }
    }
}

/// Why a worker could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP clients could not be made.
    #[error("the HTTP client cannot be set up")]
    HttpClient(#[from] reqwest::Error),
    /// A part of the worker ended that should never end.
    #[error("the worker's {0} stopped unexpectedly")]
    Stopped(&'static str),
}

/// Runs a worker until `shutdown`, then drains: claims nothing more, gives back what has not started, finishes the rest.
///
/// Waits for an unreachable database or Kubernetes API as long as it takes.
pub async fn run(
    config: Config,
    client: kube::Client,
    store: Store,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let metrics = config.metrics.clone();
    let runs = Arc::new(Runs::default());
    let table_slots = i32::try_from(config.slots).unwrap_or(i32::MAX);
    let starting = Heart::start(
        store.clone(),
        config.name.clone(),
        table_slots,
        Arc::clone(&runs),
        metrics.clone(),
    );
    let heart = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        heart = starting => heart,
    };
    let lease = heart.lease();
    let nudges = Nudges::default();
    let reporter = Reporter::new(store.clone(), Queries::new(client.clone()), metrics.clone());
    let (process, writers) = Process::assemble(
        &config,
        client,
        store.clone(),
        lease.clone(),
        Arc::clone(&runs),
    )?;

    let stop = CancellationToken::new();
    let mut loops = Loops::start(&process, heart, &nudges, &reporter, &stop);
    loops.spawn("writer of steps", writers.steps);
    loops.spawn("finisher", writers.endings);
    let tasks = TaskTracker::new();
    let closing = shutdown.child_token();
    let claimed_last = CancellationToken::new();
    if config.slots > 0 {
        let claimer = Claimer {
            slots: Slots::new(config.slots, metrics.slots_busy.clone()),
            ready: nudges.ready,
            tasks: tasks.clone(),
            shutdown: closing.clone(),
            process,
        };
        loops.spawn_claimer(claimer, claimed_last.clone());
    } else {
        claimed_last.cancel();
    }
    tracing::info!(name = config.name, slots = config.slots, incarnation = %lease.borrow().incarnation, "started");

    let outcome = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        stopped = loops.stopped() => Err(Error::Stopped(stopped)),
    };
    closing.cancel();
    let drain = Drain {
        store,
        runs,
        tasks,
        reporter,
        lease,
        limit: config.drain,
    };
    drain.run(claimed_last).await;
    stop.cancel();
    outcome
}
