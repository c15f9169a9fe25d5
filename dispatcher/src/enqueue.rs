//! Stores new executions in batches. Nothing is lost while the database is away: the batch waits and so does whoever plans.

use std::sync::Arc;
use std::time::Duration;

use ark_store::{Enqueued, Existing, NewExecution, Store};
use tokio::sync::mpsc::Receiver;
use tracing::Span;

use crate::decide::Action;
use crate::intents::Intents;
use crate::metrics::{Metrics, ResultLabel};
use crate::open::OpenQueries;
use crate::outage::outlast;
use crate::trace;

const BATCH: usize = 256;
const LINGER: Duration = Duration::from_millis(5);

/// Stores new executions.
pub(crate) struct Enqueuer {
    pub(crate) store: Store,
    pub(crate) open: Arc<OpenQueries>,
    pub(crate) intents: Intents,
    pub(crate) metrics: Metrics,
}

/// Enqueues what comes, up to 256 at once or what came within 5 ms.
pub(crate) async fn enqueue(enqueuer: Enqueuer, mut news: Receiver<NewExecution>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = news.recv().await {
        batch.push(first);
        let deadline = tokio::time::Instant::now() + LINGER;
        while batch.len() < BATCH {
            match tokio::time::timeout_at(deadline, news.recv()).await {
                Ok(Some(new)) => batch.push(new),
                _ => break,
            }
        }
        enqueuer.store_batch(&batch).await;
        batch.clear();
    }
}

impl Enqueuer {
    async fn store_batch(&self, batch: &[NewExecution]) {
        self.metrics.batch.observe(batch.len() as f64);
        let spans: Vec<Span> = batch.iter().map(trace::enqueue).collect();
        // A batch of unknown fate is repeated whole: a key that it took itself is found as existing.
        let results = outlast("the enqueue of new queries", &self.metrics, || {
            self.store.enqueue(batch)
        })
        .await;
        for ((new, result), span) in batch.iter().zip(&results).zip(&spans) {
            let result = self.settle(new, result);
            span.record("ark.enqueued", result);
        }
    }

    fn settle(&self, new: &NewExecution, enqueued: &Enqueued) -> &'static str {
        let (result, cancel, ttl) = match enqueued {
            Enqueued::New => ("new", new.canceled, Some(new.ttl)),
            // Who took the key may have read an older spec.
            Enqueued::Existing(existing) => ("existing", existing.cancel, None),
        };
        self.metrics
            .enqueued
            .get_or_create(&ResultLabel { result })
            .inc();
        let actions = self.open.settle(new.uid, cancel, ttl);
        self.intents.pass_on(new.uid, &actions);
        if let Enqueued::Existing(Existing {
            outcome_phase: Some(_),
            ..
        }) = enqueued
        {
            self.intents.pass_on(new.uid, &[Action::Rearm]);
        }
        result
    }
}
