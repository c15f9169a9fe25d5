//! What users want of executions, passed on to the queue in batches; nothing is given up while the database is away.

use std::time::Duration;

use ark_store::Store;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use uuid::Uuid;

use crate::decide::Action;
use crate::metrics::{KindLabel, Metrics};
use crate::outage::{chain, outlast};

const BATCH: usize = 1000;

/// A wish for one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    Cancel,
    Forget,
    Rearm,
    SetTtl(Duration),
}

/// Takes wishes; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Intents(UnboundedSender<(Uuid, Intent)>);

impl Intents {
    pub(crate) fn new(sender: UnboundedSender<(Uuid, Intent)>) -> Self {
        Self(sender)
    }

    // The receiver ends only together with the whole dispatcher.
    pub(crate) fn send(&self, uid: Uuid, intent: Intent) {
        let _ = self.0.send((uid, intent));
    }

    /// Passes on those of the actions that are for the queue.
    pub(crate) fn pass_on(&self, uid: Uuid, actions: &[Action]) {
        for action in actions {
            match *action {
                Action::Cancel => self.send(uid, Intent::Cancel),
                Action::Forget => self.send(uid, Intent::Forget),
                Action::Rearm => self.send(uid, Intent::Rearm),
                Action::SetTtl(ttl) => self.send(uid, Intent::SetTtl(ttl)),
                Action::Plan | Action::Close => {}
            }
        }
    }
}

/// Carries out wishes as they come; intents are idempotent, so a batch of unknown fate is simply repeated.
pub(crate) async fn carry_out(
    store: Store,
    mut wishes: UnboundedReceiver<(Uuid, Intent)>,
    metrics: Metrics,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while wishes.recv_many(&mut batch, BATCH).await > 0 {
        outlast("the passing on of intents", &metrics, || {
            carry_out_batch(&store, &batch)
        })
        .await;
        for (_, intent) in batch.drain(..) {
            metrics
                .intents
                .get_or_create(&KindLabel {
                    kind: intent.as_str(),
                })
                .inc();
        }
    }
}

async fn carry_out_batch(store: &Store, batch: &[(Uuid, Intent)]) -> Result<(), ark_store::Error> {
    let of = |wanted: Intent| -> Vec<Uuid> {
        let matching = batch.iter().filter(|(_, intent)| *intent == wanted);
        matching.map(|(uid, _)| *uid).collect()
    };
    let (cancel, forget, rearm) = (of(Intent::Cancel), of(Intent::Forget), of(Intent::Rearm));
    if !cancel.is_empty() {
        store.cancel(&cancel).await?;
    }
    if !forget.is_empty() {
        store.forget(&forget).await?;
    }
    if !rearm.is_empty() {
        store.rearm(&rearm).await?;
    }
    for (uid, intent) in batch {
        let Intent::SetTtl(ttl) = intent else {
            continue;
        };
        match store.set_ttl(*uid, *ttl).await {
            Err(error) if error.is_data() => {
                tracing::warn!(%uid, error = chain(&error), "a ttl cannot be stored and is left as it was");
            }
            result => result?,
        }
    }
    Ok(())
}

impl Intent {
    fn as_str(self) -> &'static str {
        match self {
            Intent::Cancel => "cancel",
            Intent::Forget => "forget",
            Intent::Rearm => "rearm",
            Intent::SetTtl(_) => "ttl",
        }
    }
}
