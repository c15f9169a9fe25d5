//! An orderly end: nothing new, give back what has not started, finish the rest, report, leave.

use std::sync::Arc;
use std::time::Duration;

use ark_store::Store;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::Lease;
use crate::report::Reporter;
use crate::runs::{Runs, Stop};

/// For the last writes, after everything has been stopped.
const LAST_WRITES: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What has to be brought to an end.
pub(crate) struct Drain {
    pub(crate) store: Store,
    pub(crate) runs: Arc<Runs>,
    pub(crate) tasks: TaskTracker,
    pub(crate) reporter: Reporter,
    pub(crate) lease: watch::Receiver<Lease>,
    /// How long running executions may go on.
    pub(crate) limit: Duration,
}

impl Drain {
    /// Ends after at most the limit and a few seconds. `claimed_last` resolves when the claimer, told to stop before, has
    /// entered or given back what its last statement took.
    pub(crate) async fn run(self, claimed_last: CancellationToken) {
        let deadline = Instant::now() + self.limit;
        self.stop_all(Stop::GiveBack);
        tokio::select! {
            () = claimed_last.cancelled() => {}
            () = sleep_until(deadline) => {}
        }
        self.stop_all(Stop::GiveBack);
        self.tasks.close();
        tracing::info!(running = self.runs.all().len(), "draining");
        tokio::select! {
            () = self.settled() => {}
            () = sleep_until(deadline) => {
                let count = self.stop_all(Stop::Drained);
                if count > 0 {
                    tracing::warn!(count, "what is still running goes on elsewhere, from its last committed step");
                }
                if timeout(LAST_WRITES, self.settled()).await.is_err() {
                    tracing::warn!("some endings could not be written; the others will find this process dead");
                    return;
                }
            }
        }
        if timeout(LAST_WRITES, self.reporter.flush()).await.is_err() {
            tracing::info!("reports are left to the others");
        }
        let incarnation = self.lease.borrow().incarnation;
        if let Err(error) = self.store.deregister(incarnation).await {
            tracing::debug!(%error, "not deregistered; the others will find this process dead");
        }
    }

    fn stop_all(&self, why: Stop) -> usize {
        self.runs.all().iter().filter(|run| run.stop(why)).count()
    }

    /// Until every run has ended and its ending is written.
    async fn settled(&self) {
        self.tasks.wait().await;
        while !self.runs.is_empty() {
            sleep(LOOK_EVERY).await;
        }
    }
}
