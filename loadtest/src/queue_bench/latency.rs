//! How soon an idle claimer has a new execution: from the call of enqueue, over its commit and the nudge, to the answer
//! of the claim.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ark_store::{Finish, Listener, READY, Run, Store};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::noop;
use crate::measure::Distribution;

/// Between two samples, so that each finds the claimer idle.
const PAUSE: Duration = Duration::from_millis(20);
/// A nudge that takes longer did not arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// Measures so many wake-ups.
pub(super) async fn measure(store: &Store, samples: usize) -> anyhow::Result<Distribution> {
    let incarnation = Uuid::new_v4();
    store.register(incarnation, "bench-idle", 1).await?;
    let nudges = store.listen(&[READY]).await?;
    let (sender, mut claimed) = mpsc::channel(1);
    let claimer = tokio::spawn(claim_when_nudged(
        store.clone(),
        incarnation,
        nudges,
        sender,
    ));
    let plan = noop::plan();
    let mut times = Vec::with_capacity(samples);
    for number in 0..samples {
        let execution = noop::execution(number as u64, &plan, 1);
        let uid = execution.uid;
        let began = Instant::now();
        store.enqueue(&[execution]).await?;
        let received = tokio::time::timeout(PATIENCE, claimed.recv()).await;
        let (run, at): (Run, Instant) = received
            .context("no nudge reached the claimer")?
            .context("the claimer ended")?;
        ensure!(run.uid == uid, "the claimer found another execution");
        times.push(at - began);
        let finish = Finish {
            execution: run.execution,
            run_token: run.run_token,
            outcome: noop::outcome(uid),
        };
        store.finish(&[finish]).await?;
        tokio::time::sleep(PAUSE).await;
    }
    claimer.abort();
    store.deregister(incarnation).await?;
    super::reports::settle(store, samples as u64).await?;
    Ok(Distribution::of(times))
}

async fn claim_when_nudged(
    store: Store,
    incarnation: Uuid,
    mut nudges: Listener,
    claimed: mpsc::Sender<(Run, Instant)>,
) -> anyhow::Result<()> {
    loop {
        nudges.recv().await?;
        let found = store
            .claim(incarnation, Uuid::new_v4(), 1, ark_plan::FORMAT, &[])
            .await?;
        let at = Instant::now();
        for run in found.runs {
            claimed.send((run, at)).await?;
        }
    }
}
