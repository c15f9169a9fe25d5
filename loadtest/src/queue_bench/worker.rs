//! The worker's side: each incarnation beats, claims with one claimer, and finishes in batches beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ark_store::{Beat, Fenced, Finish, Look, READY, Run, Store};
use futures::future::try_join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::result::Statement;
use super::{Options, noop};

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// When others hold what there is.
const BUSY: Duration = Duration::from_millis(2);
/// How long an empty-handed claimer waits for a nudge.
const POLL: Duration = Duration::from_millis(100);

/// Claims and finishes as many executions as the options say, whether they are there already or still to come.
pub(super) async fn drain(store: &Store, options: &Options) -> anyhow::Result<Vec<Statement>> {
    let left = Arc::new(AtomicU64::new(options.jobs));
    let all_claimed = CancellationToken::new();
    let workers = (0..options.claimers).map(|number| {
        let worker = Worker {
            store: store.clone(),
            incarnation: Uuid::new_v4(),
            name: format!("bench-{number}"),
            batch: options.batch,
            finish_batch: options.finish_batch.into(),
            left: Arc::clone(&left),
            all_claimed: all_claimed.clone(),
        };
        tokio::spawn(worker.run())
    });
    let (mut claim, mut finish) = (Statement::new("claim"), Statement::new("finish"));
    for done in try_join_all(workers).await? {
        let (claimed, finished) = done?;
        claim.absorb(claimed);
        finish.absorb(finished);
    }
    Ok(vec![claim, finish])
}

struct Worker {
    store: Store,
    incarnation: Uuid,
    name: String,
    batch: i64,
    finish_batch: usize,
    /// Executions that nobody has claimed yet.
    left: Arc<AtomicU64>,
    all_claimed: CancellationToken,
}

impl Worker {
    async fn run(self) -> anyhow::Result<(Statement, Statement)> {
        let slots = i32::try_from(self.batch).context("a batch is a number of slots")?;
        self.store
            .register(self.incarnation, &self.name, slots)
            .await?;
        let (claimed, to_finish) = mpsc::channel(self.finish_batch * 2);
        let work = async { tokio::try_join!(self.claim(claimed), self.finish(to_finish)) };
        let done = tokio::select! {
            done = work => done?,
            error = self.beat(slots) => return Err(error),
        };
        self.store.deregister(self.incarnation).await?;
        Ok(done)
    }

    /// Keeps the lease; returns only when it is lost.
    async fn beat(&self, slots: i32) -> anyhow::Error {
        let mut connection = self.store.beat_connection();
        let mut clock = tokio::time::interval(BEAT);
        loop {
            clock.tick().await;
            match connection.beat(self.incarnation, slots).await {
                Ok(Beat::Alive { .. }) => {}
                Ok(Beat::Dead) => return anyhow::anyhow!("the claimer lost its lease"),
                Err(error) => return anyhow::Error::new(error).context("a beat failed"),
            }
        }
    }

    async fn claim(&self, claimed: mpsc::Sender<Run>) -> anyhow::Result<Statement> {
        let mut claim = Statement::new("claim");
        // Listening before the first look, so that no nudge is missed.
        let mut nudges = self.store.listen(&[READY]).await?;
        while !self.all_claimed.is_cancelled() {
            let began = Instant::now();
            let found = self
                .store
                .claim(
                    self.incarnation,
                    Uuid::new_v4(),
                    self.batch,
                    ark_plan::FORMAT,
                    &[],
                )
                .await?;
            claim.add(began.elapsed(), found.runs.len());
            let count = found.runs.len() as u64;
            if self.left.fetch_sub(count, Ordering::Relaxed) == count {
                self.all_claimed.cancel();
            }
            for run in found.runs {
                claimed.send(run).await.context("finishing has ended")?;
            }
            match found.more {
                Look::Full => {}
                Look::Busy => tokio::time::sleep(BUSY).await,
                Look::Empty => tokio::select! {
                    () = self.all_claimed.cancelled() => {}
                    _ = tokio::time::timeout(POLL, nudges.recv()) => {}
                },
            }
        }
        Ok(claim)
    }

    async fn finish(&self, mut claimed: mpsc::Receiver<Run>) -> anyhow::Result<Statement> {
        let mut finish = Statement::new("finish");
        let mut runs = Vec::with_capacity(self.finish_batch);
        while claimed.recv_many(&mut runs, self.finish_batch).await > 0 {
            let batch: Vec<Finish> = runs
                .drain(..)
                .map(|run| Finish {
                    execution: run.execution,
                    run_token: run.run_token,
                    outcome: noop::outcome(run.uid),
                })
                .collect();
            let began = Instant::now();
            let fenced = self.store.finish(&batch).await?;
            finish.add(began.elapsed(), batch.len());
            ensure!(
                fenced.iter().all(|each| *each == Fenced::Committed),
                "a run was fenced off although its claimer lives"
            );
        }
        Ok(finish)
    }
}
