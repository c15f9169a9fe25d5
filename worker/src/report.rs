//! The reporter: brings what Postgres knows into `Query.status`, and never an older state over a newer one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ark_plan::status::{Stage, reduced, status};
use ark_store::{Progress, Report, Reported, Store};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::delivery::{Delivery, Next, next};
use crate::metrics::Metrics;
use crate::queries::{Queries, Refusal};
use crate::trace;

/// Reports under way at once.
const PARALLEL: usize = 32;
/// How long a claimed report is left to its reporter.
const LEASE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(500);
const POLL_EARLY: Duration = Duration::from_millis(250);
/// Conflicts in a row after which a report is put off.
const MOST_CONFLICTS: usize = 5;

/// The reporter of one process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Reporter {
    store: Store,
    queries: Queries,
    metrics: Metrics,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Learned from a refusal: the server's schema has no phase `queued`.
    queued_as_pending: Arc<AtomicBool>,
}

impl Reporter {
    pub(crate) fn new(store: Store, queries: Queries, metrics: Metrics) -> Self {
        Self {
            store,
            queries,
            metrics,
            places: Arc::new(Semaphore::new(PARALLEL)),
            tasks: TaskTracker::new(),
            queued_as_pending: Arc::default(),
        }
    }

    /// Reports outcomes at once when nudged, and looks for others twice a second.
    pub(crate) async fn run_terminal(self, nudge: Arc<Notify>, stop: CancellationToken) {
        self.run(Progress::Terminal, POLL, &nudge, &stop).await;
    }

    /// Reports waiting and running, where they have stood for a while.
    pub(crate) async fn run_early(self, stop: CancellationToken) {
        self.run(Progress::Early, POLL_EARLY, &Notify::new(), &stop)
            .await;
    }

    /// Reports what is due now and waits for it; for the end of a process.
    pub(crate) async fn flush(&self) {
        while self
            .claim(Progress::Terminal)
            .await
            .is_ok_and(|claimed| claimed > 0)
        {
            self.settled().await;
        }
        self.settled().await;
    }

    async fn settled(&self) {
        // All places are free again when everything under way has settled.
        drop(self.places.acquire_many(PARALLEL as u32).await);
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    async fn run(&self, which: Progress, poll: Duration, nudge: &Notify, stop: &CancellationToken) {
        let mut backoff = Backoff::database();
        while !stop.is_cancelled() {
            let pause = match self.claim(which).await {
                Ok(claimed) if claimed > 0 => {
                    backoff.reset();
                    continue;
                }
                Ok(_) => poll.mul_f64(rand::random_range(0.75..1.25)),
                Err(error) => {
                    tracing::warn!(%error, "reports cannot be claimed");
                    backoff.pause()
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = nudge.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Claims as many reports as there are places and sends them off; how many.
    async fn claim(&self, which: Progress) -> Result<usize, ark_store::Error> {
        let first = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .expect("never closed");
        let more = self.places.available_permits().min(PARALLEL - 1);
        let token = Uuid::new_v4();
        let reports = self
            .store
            .claim_reports(token, which, more as i64 + 1, LEASE)
            .await?;
        let claimed = reports.len();
        if claimed > 0 {
            let reporter = self.clone();
            self.tasks.spawn(async move {
                drop(first);
                reporter.deliver_all(token, reports).await;
            });
        }
        Ok(claimed)
    }

    async fn deliver_all(&self, token: Uuid, reports: Vec<Report>) {
        // Tasks and not one stream of futures: while this loop waits for a connection to mark what is settled, the
        // others must go on, or one of them may keep the connection that this loop waits for.
        let mut deliveries = JoinSet::new();
        for report in reports {
            let reporter = self.clone();
            deliveries.spawn(async move {
                let _place = reporter.places.acquire().await;
                let span = trace::report(&report);
                let delivery = reporter
                    .deliver(token, &report)
                    .instrument(span.clone())
                    .await;
                span.record("ark.report", delivery.as_str());
                (report.execution, report.wanted, delivery)
            });
        }
        while let Some(first) = deliveries.join_next().await {
            let mut settled = Vec::from_iter(first.ok());
            while let Some(next) = deliveries.try_join_next() {
                settled.extend(next.ok());
            }
            // What cannot be marked is delivered again after the lease, which then finds it done.
            if let Err(error) = self.mark(token, settled).await {
                tracing::warn!(%error, "reports cannot be marked as written");
            }
        }
    }

    async fn mark(
        &self,
        token: Uuid,
        settled: Vec<(i64, i32, Delivery)>,
    ) -> Result<(), ark_store::Error> {
        let (mut written, mut gone, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (execution, wanted, delivery) in settled {
            match delivery {
                Delivery::Written(resource_version) => written.push(Reported {
                    execution,
                    wanted,
                    resource_version,
                }),
                Delivery::Gone => gone.push(execution),
                Delivery::Failed => failed.push(execution),
                Delivery::TakenOver => self.metrics.report("taken_over"),
            }
        }
        for (result, count) in [
            ("written", written.len()),
            ("gone", gone.len()),
            ("failed", failed.len()),
        ] {
            (0..count).for_each(|_| self.metrics.report(result));
        }
        if !written.is_empty() {
            self.store.reported(token, &written).await?;
        }
        if !gone.is_empty() {
            self.store.report_gone(token, &gone).await?;
        }
        if !failed.is_empty() {
            let retry_in = Duration::from_secs(1).mul_f64(rand::random_range(0.5..1.5));
            self.store.report_failed(token, &failed, retry_in).await?;
        }
        Ok(())
    }

    async fn deliver(&self, token: Uuid, report: &Report) -> Delivery {
        let mut wanted = status(
            &report.facts,
            self.queued_as_pending.load(Ordering::Relaxed),
        );
        let mut version = report.resource_version.clone();
        let mut reduced_once = false;
        for _ in 0..MOST_CONFLICTS {
            let known = match version.take() {
                Some(version) => version,
                None => match self.read(token, report, &wanted).await {
                    Next::Patch(version) => version,
                    Next::Settled(delivery) => return delivery,
                },
            };
            match self.queries.patch_status(report, &known, &wanted).await {
                Ok(version) => return Delivery::Written(version),
                Err(Refusal::Conflict) => {}
                Err(Refusal::NotFound) => return Delivery::Gone,
                Err(Refusal::Unfit(why)) if !reduced_once => {
                    reduced_once = true;
                    wanted = self.fitting(report, &why);
                    version = Some(known);
                }
                Err(Refusal::Unfit(why) | Refusal::Other(why)) => {
                    tracing::warn!(
                        namespace = report.namespace,
                        name = report.name,
                        why,
                        "a status cannot be written"
                    );
                    return Delivery::Failed;
                }
            }
        }
        tracing::debug!(
            namespace = report.namespace,
            name = report.name,
            "a status met too many conflicts"
        );
        Delivery::Failed
    }

    /// Reads the Query after a conflict, or when its version is not known. The order matters: first the Query, then
    /// whether the report is still ours, then the patch with that version. A late reporter then meets a conflict.
    async fn read(&self, token: Uuid, report: &Report, wanted: &Value) -> Next {
        let query = match self.queries.get(&report.namespace, &report.name).await {
            Ok(query) => query,
            Err(Refusal::NotFound) => return Next::Settled(Delivery::Gone),
            Err(refusal) => {
                tracing::debug!(
                    namespace = report.namespace,
                    name = report.name,
                    ?refusal,
                    "a Query cannot be read"
                );
                return Next::Settled(Delivery::Failed);
            }
        };
        let next = next(query, &report.uid.to_string(), wanted);
        if matches!(next, Next::Patch(_)) {
            match self.store.still_holds(token, report.execution).await {
                Ok(true) => {}
                Ok(false) => return Next::Settled(Delivery::TakenOver),
                Err(_) => return Next::Settled(Delivery::Failed),
            }
        }
        next
    }

    /// What to write instead of a status that the server refuses for its size or content.
    fn fitting(&self, report: &Report, why: &str) -> Value {
        tracing::info!(
            namespace = report.namespace,
            name = report.name,
            why,
            "a status is refused; writing a smaller one"
        );
        if matches!(report.facts.stage, Stage::Queued { .. }) {
            self.queued_as_pending.store(true, Ordering::Relaxed);
        }
        reduced(
            &report.facts,
            self.queued_as_pending.load(Ordering::Relaxed),
        )
    }
}
