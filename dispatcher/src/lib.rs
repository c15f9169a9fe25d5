//! The dispatcher: every open Query becomes one execution in the queue, and what users want of it later becomes an intent.
//!
//! One Query goes through it in the order of the modules: `watch` sees it, `decide` says what to do, `plan` resolves
//! it with what `select` finds, `fetch` reads and `authorize` allows, `enqueue` stores it. `intents` passes on
//! cancel, deletion and ttl, `expire` deletes finished Queries at their ttl, and `compare` finds whatever was missed.
//! It writes no status and keeps no finished Query.

mod api;
mod authorize;
mod compare;
mod decide;
mod enqueue;
mod execution;
mod expire;
mod fetch;
mod intents;
mod leader;
mod metrics;
mod open;
mod outage;
mod plan;
mod readings;
mod select;
mod trace;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use ark_api::admission::ModelUrlPolicy;
use ark_store::Store;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use metrics::Metrics;

/// Whose rights decide what a Query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// The Query's service account, by SubjectAccessReview; without an answer nothing is allowed.
    Rbac,
    /// Everything is allowed.
    Off,
}

/// The settings of a dispatcher.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether to work only while holding the Lease `ark-controller-leader`.
    pub leader_elect: bool,
    /// This process among the candidates.
    pub identity: String,
    /// The namespace of the Lease.
    pub namespace: String,
    /// Whose rights decide what a Query may use.
    pub authorization: Authorization,
    /// Which URLs Models may have.
    pub model_url_policy: ModelUrlPolicy,
    /// Whether a missing credential is only a warning, for a provider that reads none.
    pub lenient_secrets: bool,
    /// How often Queries and executions are compared.
    pub resync: Duration,
    /// Where this dispatcher counts.
    pub metrics: Metrics,
}

/// Why a dispatcher ends before it is told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not fit this program.
    #[error("the database cannot be used")]
    Store(#[from] ark_store::Error),
    /// A part of the dispatcher ended, which none does on its own.
    #[error("a task of the dispatcher failed: {0}")]
    Task(String),
}

/// Dispatches until `shutdown`, or for ever. Outages of the API or the database are waited out.
pub async fn run(
    config: Config,
    client: kube::Client,
    store: Store,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    store.check().await?;
    if !config.leader_elect {
        config.metrics.leading.set(1);
        return tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            result = dispatch(&config, &client, &store) => result,
        };
    }
    let elector = leader::Elector::new(&config, client.clone());
    elector
        .lead(&shutdown, &config.metrics, || {
            dispatch(&config, &client, &store)
        })
        .await
}

/// The work of the leader; dropping it stops everything.
async fn dispatch(config: &Config, client: &kube::Client, store: &Store) -> Result<(), Error> {
    let metrics = config.metrics.clone();
    let (plans, to_plan) = mpsc::channel(1024);
    let (news, to_enqueue) = mpsc::channel(1024);
    let (wishes, to_intend) = mpsc::unbounded_channel();
    let intents = intents::Intents::new(wishes);
    let open = Arc::new(open::OpenQueries::new(metrics.clone()));
    let watcher = Arc::new(watch::Watcher {
        client: client.clone(),
        store: store.clone(),
        open: open.clone(),
        intents: intents.clone(),
        plans,
        metrics: metrics.clone(),
    });
    let planner = Arc::new(plan::Planner::new(
        config,
        client.clone(),
        open.clone(),
        news,
    ));
    let enqueuer = enqueue::Enqueuer {
        store: store.clone(),
        open: open.clone(),
        intents: intents.clone(),
        metrics: metrics.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(watch::watch(watcher.clone()));
    tasks.spawn(compare::compare(watcher, config.resync));
    tasks.spawn(plan::plan(planner, to_plan));
    tasks.spawn(enqueue::enqueue(enqueuer, to_enqueue));
    tasks.spawn(intents::carry_out(
        store.clone(),
        to_intend,
        metrics.clone(),
    ));
    tasks.spawn(expire::expire(
        store.clone(),
        client.clone(),
        intents,
        metrics.clone(),
    ));
    tasks.spawn(metrics::sample(store.clone(), metrics));
    match tasks.join_next().await {
        Some(Err(error)) => Err(Error::Task(error.to_string())),
        _ => Err(Error::Task("it ended".to_owned())),
    }
}
