//! The one writer of endings in a process: what runs came to is gathered and written in few statements, fenced, and kept
//! for as long as the database is away.

use std::sync::Arc;
use std::time::Duration;

use ark_plan::Outcome;
use ark_store::{Fenced, Finish, Retry, Store};
use tokio::sync::mpsc;
use tracing::Span;

use crate::backoff::Backoff;
use crate::batch::gather;
use crate::metrics::Metrics;
use crate::runs::{Handle, Runs};
use crate::slots::Slot;
use crate::trace;

const WINDOW: Duration = Duration::from_millis(10);
const MOST: usize = 256;

/// What a run came to.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It ended.
    Outcome(Outcome),
    /// Another attempt follows after the delay.
    Later {
        delay: Duration,
        attempt_counts: bool,
    },
    /// It never started here.
    GiveBack,
}

/// An ending with what it holds until it is written: the run's place in memory, its slot, and the span of the write.
#[derive(Debug)]
struct Ended {
    handle: Arc<Handle>,
    ending: Ending,
    _slot: Slot,
    _span: Span,
}

/// Where runs hand in their endings.
#[derive(Debug, Clone)]
pub(crate) struct Finisher {
    queue: mpsc::UnboundedSender<Ended>,
}

impl Finisher {
    /// The finisher and its loop, which ends when the last handle is dropped and everything is written.
    pub(crate) fn new(
        store: Store,
        runs: Arc<Runs>,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (
            Self { queue },
            Writer {
                store,
                runs,
                metrics,
            }
            .write(receiver),
        )
    }

    /// Hands in an ending; the slot stays taken until it is written, which bounds what is kept in memory.
    pub(crate) fn end(&self, handle: Arc<Handle>, slot: Slot, ending: Ending) {
        let span = trace::finish();
        trace::ended(&Span::current(), &span, &ending);
        if self
            .queue
            .send(Ended {
                handle,
                ending,
                _slot: slot,
                _span: span,
            })
            .is_err()
        {
            tracing::error!("an ending came after the finisher had stopped");
        }
    }
}

struct Writer {
    store: Store,
    runs: Arc<Runs>,
    metrics: Metrics,
}

impl Writer {
    async fn write(self, mut receiver: mpsc::UnboundedReceiver<Ended>) {
        while let Some(batch) = gather(&mut receiver, WINDOW, MOST).await {
            let mut backoff = Backoff::database();
            let mut left = batch;
            while !left.is_empty() {
                left = self.write_batch(left).await;
                if !left.is_empty() {
                    backoff.sleep().await;
                }
            }
        }
    }

    /// Writes what it can and returns the rest.
    async fn write_batch(&self, batch: Vec<Ended>) -> Vec<Ended> {
        let (mut outcomes, mut later, mut unstarted) = (Vec::new(), Vec::new(), Vec::new());
        for ended in batch {
            match ended.ending {
                Ending::Outcome(_) => outcomes.push(ended),
                Ending::Later { .. } => later.push(ended),
                Ending::GiveBack => unstarted.push(ended),
            }
        }
        let mut left = Vec::new();
        if !outcomes.is_empty() {
            let written = self.store.finish(&finishes(&outcomes)).await;
            left.extend(self.settle(outcomes, written));
        }
        if !later.is_empty() {
            let written = self.store.retry_later(&retries(&later)).await;
            left.extend(self.settle(later, written));
        }
        if !unstarted.is_empty() {
            let runs: Vec<_> = unstarted
                .iter()
                .map(|e| (e.handle.execution, e.handle.run_token))
                .collect();
            let written = self.store.give_back(&runs).await;
            left.extend(self.settle(unstarted, written));
        }
        left
    }

    fn settle(
        &self,
        batch: Vec<Ended>,
        written: Result<Vec<Fenced>, ark_store::Error>,
    ) -> Vec<Ended> {
        match written {
            Ok(fenced) => {
                for (ended, fenced) in batch.into_iter().zip(fenced) {
                    self.settled(&ended, fenced);
                }
                Vec::new()
            }
            Err(error) => {
                // Also when the error does not look passing: a result that was paid for is not thrown away.
                tracing::warn!(%error, results = batch.len(), "endings are kept until the database takes them");
                batch
            }
        }
    }

    fn settled(&self, ended: &Ended, fenced: Fenced) {
        self.runs.remove(&ended.handle);
        if let Fenced::Stop(why) = fenced {
            tracing::debug!(
                execution = ended.handle.execution,
                ?why,
                "an ending came too late"
            );
            self.metrics.stale.inc();
            return;
        }
        match &ended.ending {
            Ending::Outcome(outcome) => self.metrics.ended(outcome),
            Ending::Later { .. } => _ = self.metrics.retried.inc(),
            Ending::GiveBack => _ = self.metrics.given_back.inc(),
        }
    }
}

fn finishes(batch: &[Ended]) -> Vec<Finish> {
    let finish = |ended: &Ended| match &ended.ending {
        Ending::Outcome(outcome) => Some(Finish {
            execution: ended.handle.execution,
            run_token: ended.handle.run_token,
            outcome: outcome.clone(),
        }),
        _ => None,
    };
    batch.iter().filter_map(finish).collect()
}

fn retries(batch: &[Ended]) -> Vec<Retry> {
    let retry = |ended: &Ended| match ended.ending {
        Ending::Later {
            delay,
            attempt_counts,
        } => Some(Retry {
            execution: ended.handle.execution,
            run_token: ended.handle.run_token,
            delay,
            attempt_counts,
        }),
        _ => None,
    };
    batch.iter().filter_map(retry).collect()
}
