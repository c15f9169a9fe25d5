//! The heartbeat: one row per start of a process, beaten every second on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use ark_store::{Beat, BeatConnection, Store};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::gate::Lease;
use crate::metrics::Metrics;
use crate::runs::Runs;

const EVERY: Duration = Duration::from_secs(1);
/// A nudge makes a beat at once, but a storm of nudges does not make a storm of beats.
const APART: Duration = Duration::from_millis(50);
/// Beats between two comparisons of memory with the database.
const COMPARE_EVERY: u32 = 5;

/// The incarnation of this process, and what keeps it alive.
pub(crate) struct Heart {
    store: Store,
    connection: BeatConnection,
    name: String,
    slots: i32,
    lease: watch::Sender<Lease>,
    runs: Arc<Runs>,
    metrics: Metrics,
    beats: u32,
    /// Rows of ours that memory did not know at the last comparison: given back if they stand there at the next.
    unknown: Vec<(i64, Uuid)>,
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
            beats: 0,
            unknown: Vec::new(),
        }
    }

    /// The newest acknowledged beat, for the gates.
    pub(crate) fn lease(&self) -> watch::Receiver<Lease> {
        self.lease.subscribe()
    }

    /// Beats until `stop`, at once when nudged.
    pub(crate) async fn run(mut self, nudge: Arc<Notify>, stop: CancellationToken) {
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = clock.tick() => {}
                () = nudge.notified() => {}
            }
            self.beat().await;
            tokio::time::sleep(APART).await;
        }
    }

    async fn beat(&mut self) {
        let incarnation = self.lease.borrow().incarnation;
        let sent = Instant::now();
        match self.connection.beat(incarnation, self.slots).await {
            Ok(Beat::Alive { stop, .. }) => {
                self.lease.send_replace(Lease { incarnation, sent });
                for stop in stop {
                    self.runs.stop(stop.execution, stop.run_token, stop.why);
                }
                self.beats += 1;
                if self.beats.is_multiple_of(COMPARE_EVERY) {
                    self.compare(incarnation).await;
                }
            }
            Ok(Beat::Dead) => self.reincarnate().await,
            // The gates shut by themselves when this goes on; another beat follows in half a second.
            Err(error) => {
                tracing::warn!(%error, "a beat failed");
                tokio::time::sleep(EVERY / 4).await;
            }
        }
    }

    /// The others hold this process for dead and may already have its runs.
    async fn reincarnate(&mut self) {
        let lease = register(&self.store, &self.name, self.slots).await;
        let dropped = self.runs.begin_incarnation(lease.incarnation);
        self.lease.send_replace(lease);
        self.unknown.clear();
        self.metrics.incarnations_lost.inc();
        tracing::warn!(dropped, incarnation = %lease.incarnation, "the lease was lost; going on as a fresh incarnation");
    }

    /// A claim whose answer was lost may have left rows here that nobody works on, and a row may be gone unnoticed.
    async fn compare(&mut self, incarnation: Uuid) {
        let before = self.runs.all();
        let rows = match self.store.running_of(incarnation).await {
            Ok(rows) => rows,
            Err(error) => return tracing::debug!(%error, "memory cannot be compared"),
        };
        let strangers: Vec<_> = rows
            .iter()
            .map(|row| (row.execution, row.run_token))
            .filter(|(execution, token)| !self.runs.contains(*execution, *token))
            .collect();
        // What has just been claimed is not in memory yet, therefore only what is strange twice.
        let orphans: Vec<_> = strangers
            .iter()
            .filter(|run| self.unknown.contains(run))
            .copied()
            .collect();
        self.unknown = strangers;
        if !orphans.is_empty() {
            tracing::warn!(
                count = orphans.len(),
                "giving back runs that this process does not know"
            );
            if let Err(error) = self.store.give_back(&orphans).await {
                tracing::debug!(%error, "they are given back later");
            }
        }
        for run in before.iter().filter(|run| run.incarnation == incarnation) {
            let gone = !rows
                .iter()
                .any(|row| row.execution == run.execution && row.run_token == run.run_token);
            if gone {
                self.runs
                    .stop(run.execution, run.run_token, ark_store::Intent::Lost);
            }
        }
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
