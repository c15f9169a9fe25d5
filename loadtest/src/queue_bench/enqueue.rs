//! The dispatcher's side: executions go in, 256 at a time.

use std::time::Instant;

use anyhow::ensure;
use ark_store::{Enqueued, NewExecution, Store};
use futures::future::try_join_all;

use super::noop;
use super::result::Statement;

/// The executions of one enqueue.
const BATCH: u64 = 256;

/// Enqueues so many executions from so many writers at the same time.
pub(super) async fn fill(
    store: &Store,
    jobs: u64,
    writers: u64,
    namespaces: u32,
) -> anyhow::Result<Vec<Statement>> {
    let shares = (0..writers).map(|writer| {
        let share = jobs / writers + u64::from(writer < jobs % writers);
        tokio::spawn(write(store.clone(), share, namespaces))
    });
    let mut enqueue = Statement::new("enqueue");
    for written in try_join_all(shares).await? {
        enqueue.absorb(written?);
    }
    Ok(vec![enqueue])
}

async fn write(store: Store, jobs: u64, namespaces: u32) -> anyhow::Result<Statement> {
    let mut enqueue = Statement::new("enqueue");
    let plan = noop::plan();
    let mut next = 0;
    while next < jobs {
        let end = jobs.min(next + BATCH);
        let batch: Vec<NewExecution> = (next..end)
            .map(|number| noop::execution(number, &plan, namespaces))
            .collect();
        let began = Instant::now();
        let enqueued = store.enqueue(&batch).await?;
        enqueue.add(began.elapsed(), batch.len());
        ensure!(
            enqueued.iter().all(|each| *each == Enqueued::New),
            "a fresh execution was there already"
        );
        next = end;
    }
    Ok(enqueue)
}
