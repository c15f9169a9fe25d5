//! The heartbeat: one row per start of a process, beaten every second on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use ark_store::{Beat, BeatConnection, Store};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::gate::Lease;
use crate::metrics::Metrics;
use crate::runs::Runs;

const EVERY: Duration = Duration::from_secs(1);
/// A nudge makes a beat at once, but a storm of nudges does not make a storm of beats.
const APART: Duration = Duration::from_millis(50);
/// After a beat that failed.
const AGAIN: Duration = Duration::from_millis(300);

/// The incarnation of this process, and what keeps it alive.
pub(crate) struct Heart {
    store: Store,
    connection: BeatConnection,
    name: String,
    slots: i32,
    lease: watch::Sender<Lease>,
    runs: Arc<Runs>,
    metrics: Metrics,
}

impl Heart {
    /// Registers a fresh incarnation; waits for the database as long as it takes.
    pub(crate) async fn start(
        store: Store,
        name: String,
        slots: i32,
        runs: Arc<Runs>,
        metrics: Metrics,
    ) -> Self {
        let lease = register(&store, &name, slots).await;
        runs.begin_incarnation(lease.incarnation);
        let connection = store.beat_connection();
        let (lease, _) = watch::channel(lease);
        Self {
            store,
            connection,
            name,
            slots,
            lease,
            runs,
            metrics,
        }
    }

    /// The newest acknowledged beat, for the gates.
    pub(crate) fn lease(&self) -> watch::Receiver<Lease> {
        self.lease.subscribe()
    }

    /// Beats until `stop`, at once when nudged.
    pub(crate) async fn run(mut self, nudge: Arc<Notify>, stop: CancellationToken) {
        loop {
            let pause = if self.beat().await { EVERY } else { AGAIN };
            tokio::time::sleep(APART).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause - APART) => {}
                () = nudge.notified() => {}
            }
        }
    }

    /// One beat; whether the database answered. While it does not, the gates shut by themselves.
    async fn beat(&mut self) -> bool {
        let incarnation = self.lease.borrow().incarnation;
        let sent = Instant::now();
        match self.connection.beat(incarnation, self.slots).await {
            Ok(Beat::Alive { stop, .. }) => {
                self.lease.send_replace(Lease { incarnation, sent });
                for stop in stop {
                    self.runs.stop(stop.execution, stop.run_token, stop.why);
                }
                true
            }
            Ok(Beat::Dead) => {
                self.reincarnate().await;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a beat failed");
                false
            }
        }
    }

    /// The others hold this process for dead and may already have its runs.
    async fn reincarnate(&mut self) {
        let lease = register(&self.store, &self.name, self.slots).await;
        let dropped = self.runs.begin_incarnation(lease.incarnation);
        self.lease.send_replace(lease);
        self.metrics.incarnations_lost.inc();
        tracing::warn!(dropped, incarnation = %lease.incarnation, "the lease was lost; going on as a fresh incarnation");
    }
}

async fn register(store: &Store, name: &str, slots: i32) -> Lease {
    let mut backoff = Backoff::database();
    loop {
        // A fresh identity for each try: the answer to the last one may only have been lost.
        let lease = Lease {
            incarnation: Uuid::new_v4(),
            sent: Instant::now(),
        };
        match store.register(lease.incarnation, name, slots).await {
            Ok(()) => return lease,
            Err(error) => tracing::warn!(%error, "this process cannot be registered yet"),
        }
        backoff.sleep().await;
    }
}
