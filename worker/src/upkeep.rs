//! Upkeep of the queue: dead incarnations, due retries, passed deadlines, leftovers. Nobody owns it; this process does
//! what it finds due.

use std::time::Duration;

use ark_store::{Store, Upkeep};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::metrics::Metrics;

const POLL: Duration = Duration::from_millis(250);
/// Pieces of one task in a row, before the others are looked at.
const MOST_PIECES: usize = 20;

/// Looks for due tasks until `stop`.
pub(crate) async fn run(store: Store, metrics: Metrics, stop: CancellationToken) {
    let mut backoff = Backoff::database();
    while !stop.is_cancelled() {
        let pause = match round(&store, &metrics).await {
            Ok(()) => {
                backoff.reset();
                // Spread, so that many processes do not all look at the same moment.
                POLL.mul_f64(rand::random_range(0.5..1.5))
            }
            Err(error) => {
                tracing::warn!(%error, "upkeep waits for the database");
                backoff.pause()
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn round(store: &Store, metrics: &Metrics) -> Result<(), ark_store::Error> {
    for task in store.upkeep_due().await? {
        for _ in 0..MOST_PIECES {
            let done = store.upkeep(task).await?;
            metrics.upkeep(task.as_str(), done.changed);
            for dead in &done.reaped {
                tracing::warn!(name = dead.name, incarnation = %dead.incarnation, "a worker was lost; its runs go on elsewhere");
            }
            if !done.more {
                break;
            }
        }
        if task == Upkeep::Reap {
            tracing::trace!("looked for the dead");
        }
    }
    Ok(())
}
