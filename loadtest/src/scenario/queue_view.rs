//! The queue's own view of the load, asked for beside the API's.

use std::sync::Arc;
use std::time::Duration;

use ark_store::Store;
use tokio::time::MissedTickBehavior;

use super::Run;
use super::record::QueueSample;

/// How often the run is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Notes how many iterations are under way and, with a database, how the queue stands.
pub(super) async fn sample(run: Arc<Run>, store: Option<Store>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        ticks.tick().await;
        let queue = match &store {
            Some(store) => match look(store).await {
                Ok(queue) => Some(queue),
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!("the queue cannot be looked at: {error}");
                    }
                    None
                }
            },
            None => None,
        };
        run.recorder.sample(queue);
    }
}

async fn look(store: &Store) -> ark_store::Result<QueueSample> {
    let (totals, lanes) = tokio::try_join!(store.totals(), store.depth())?;
    let oldest = lanes.iter().map(|lane| lane.oldest_seconds);
    Ok(QueueSample {
        totals,
        oldest_seconds: oldest.fold(0.0, f64::max),
    })
}
