//! Memory against the database, now and then: a claim whose answer was lost may have left rows that nobody works on, and
//! a row may be gone unnoticed. Apart from the heartbeat, which must wait for no connection of the pool.

use std::sync::Arc;
use std::time::Duration;

use ark_store::{Intent, Retry, RunningRow, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::gate::Lease;
use crate::runs::Runs;

const EVERY: Duration = Duration::from_secs(5);

/// Compares until `stop`.
pub(crate) async fn run(
    store: Store,
    runs: Arc<Runs>,
    lease: watch::Receiver<Lease>,
    stop: CancellationToken,
) {
    let mut strangers: Vec<(i64, Uuid)> = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let incarnation = lease.borrow().incarnation;
        match compare(&store, &runs, incarnation, &strangers).await {
            Ok(now) => strangers = now,
            Err(error) => tracing::debug!(%error, "memory cannot be compared with the database"),
        }
    }
}

/// Returns the rows that memory does not know. Those that it did not know the last time either go back to the queue: what
/// has just been claimed is not in memory yet. Any of them may have committed a step, so they go back as started.
async fn compare(
    store: &Store,
    runs: &Runs,
    incarnation: Uuid,
    strangers_before: &[(i64, Uuid)],
) -> Result<Vec<(i64, Uuid)>, ark_store::Error> {
    let known = runs.all();
    let rows = store.running_of(incarnation).await?;
    let strangers: Vec<_> = rows
        .iter()
        .map(|row| (row.execution, row.run_token))
        .filter(|(execution, token)| !runs.contains(*execution, *token))
        .collect();
    let orphans: Vec<_> = strangers
        .iter()
        .filter(|run| strangers_before.contains(run))
        .map(|&(execution, run_token)| Retry {
            execution,
            run_token,
            delay: Duration::ZERO,
            attempt_counts: false,
        })
        .collect();
    if !orphans.is_empty() {
        tracing::warn!(
            count = orphans.len(),
            "giving back runs that this process does not know"
        );
        store.retry_later(&orphans).await?;
    }
    for run in known.iter().filter(|run| run.incarnation == incarnation) {
        let row = RunningRow {
            execution: run.execution,
            run_token: run.run_token,
        };
        if !rows.contains(&row) {
            runs.stop(run.execution, run.run_token, Intent::Lost);
        }
    }
    Ok(strangers)
}
