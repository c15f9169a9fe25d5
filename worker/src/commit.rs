//! The one writer of steps in a process: steps of many runs in one statement.

use std::time::Duration;

use ark_store::{Fenced, Intent, NewStep, Store};
use tokio::sync::{mpsc, oneshot};

use crate::backoff::Backoff;
use crate::batch::gather;
use crate::failure::{Failure, Halt};
use crate::metrics::Metrics;

const WINDOW: Duration = Duration::from_millis(5);
const MOST: usize = 64;

/// Where runs hand in their steps.
#[derive(Debug, Clone)]
pub(crate) struct StepWriter {
    queue: mpsc::UnboundedSender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    step: NewStep,
    written: oneshot::Sender<Result<(), Halt>>,
}

impl StepWriter {
    /// The writer and its loop, which ends when the last handle is dropped.
    pub(crate) fn new(store: Store, metrics: Metrics) -> (Self, impl Future<Output = ()>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { queue }, write(store, receiver, metrics))
    }

    /// Commits one step. While the database is away this waits: nothing that depends on the step may start.
    pub(crate) async fn commit(&self, step: NewStep) -> Result<(), Halt> {
        let (written, answer) = oneshot::channel();
        self.queue
            .send(Waiting { step, written })
            .map_err(|_| Halt::Lost)?;
        answer.await.unwrap_or(Err(Halt::Lost))
    }
}

/// What a fenced write means for its run.
pub(crate) fn verdict(fenced: Fenced) -> Result<(), Halt> {
    match fenced {
        Fenced::Committed => Ok(()),
        Fenced::Stop(Intent::Lost) => Err(Halt::Lost),
        Fenced::Stop(Intent::Cancel | Intent::Delete | Intent::Ended) => Err(Halt::Canceled),
    }
}

async fn write(store: Store, mut receiver: mpsc::UnboundedReceiver<Waiting>, metrics: Metrics) {
    let mut backoff = Backoff::database();
    while let Some(batch) = gather(&mut receiver, WINDOW, MOST).await {
        let (steps, waiting): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|w| (w.step, w.written)).unzip();
        let verdicts = loop {
            match store.commit_steps(&steps).await {
                Ok(fenced) => break fenced.into_iter().map(verdict).collect(),
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(%error, steps = steps.len(), "steps are kept until the database is back");
                    backoff.sleep().await;
                }
                Err(error) => {
                    tracing::error!(%error, "steps cannot be committed");
                    break one_by_one(&store, &steps).await;
                }
            }
        };
        backoff.reset();
        for (verdict, written) in verdicts.into_iter().zip(waiting) {
            if verdict.is_ok() {
                metrics.steps.inc();
            }
            // The run may have been stopped meanwhile; its step is there for whoever goes on.
            drop(written.send(verdict));
        }
    }
}

/// One bad value harms only its owner.
async fn one_by_one(store: &Store, steps: &[NewStep]) -> Vec<Result<(), Halt>> {
    let mut verdicts = Vec::with_capacity(steps.len());
    for step in steps {
        verdicts.push(match store.commit_steps(std::slice::from_ref(step)).await {
            Ok(fenced) => fenced.into_iter().next().map_or(Err(Halt::Lost), verdict),
            Err(error) => {
                tracing::error!(%error, execution = step.execution, path = step.path, "a step cannot be committed");
                Err(Halt::Failed(unstorable(&error)))
            }
        });
    }
    verdicts
}

fn unstorable(error: &ark_store::Error) -> Failure {
    if error.is_data() {
        Failure::new(
            ark_plan::Class::Unstorable,
            "A result of this run cannot be stored by the database.",
        )
    } else {
        Failure::new(
            ark_plan::Class::Transport,
            "The database did not take a result of this run.",
        )
    }
}
