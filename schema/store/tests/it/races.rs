//! Many at once: nothing is claimed twice, nothing is overlooked, nothing ends twice.

use std::collections::HashSet;
use std::time::Duration;

use ark_plan::Phase;
use ark_store::testing::database;
use ark_store::{Enqueued, Look, Upkeep};
use uuid::Uuid;

use crate::{claim, done, final_phases, finish, new, worker};

#[tokio::test(flavor = "multi_thread")]
async fn claimers_share_nothing_and_leave_nothing() {
    let store = database().await.store;
    let batch: Vec<_> = (0..600)
        .map(|n| new(&format!("ns{}", n % 5), &format!("q{n}")))
        .collect();
    store.enqueue(&batch).await.unwrap();
    let claimers = (0..6).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let w = worker(&store).await;
            let mut mine = Vec::new();
            loop {
                let claimed = store
                    .claim(w, Uuid::new_v4(), 7, ark_plan::FORMAT, &[])
                    .await
                    .unwrap();
                mine.extend(claimed.runs.iter().map(|run| run.uid));
                if claimed.runs.is_empty() && claimed.more == Look::Empty {
                    return mine;
                }
            }
        })
    });
    let claimed: Vec<Uuid> = futures::future::try_join_all(claimers)
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(claimed.len(), 600);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_enqueue_once() {
    let store = database().await.store;
    let batch: Vec<_> = (0..200).map(|n| new("default", &format!("q{n}"))).collect();
    let mut reversed = batch.clone();
    reversed.reverse();
    let (a, b) = tokio::join!(store.enqueue(&batch), store.enqueue(&reversed));
    let new = a
        .unwrap()
        .into_iter()
        .chain(b.unwrap())
        .filter(|enqueued| *enqueued == Enqueued::New)
        .count();
    assert_eq!(new, 200);
    assert_eq!(store.totals().await.unwrap().ready, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_empties_while_it_is_filled_is_not_lost() {
    let store = database().await.store;
    let w = worker(&store).await;
    let retiring = {
        let store = store.clone();
        tokio::spawn(async move {
            loop {
                store.upkeep(Upkeep::Heads).await.unwrap();
            }
        })
    };
    for n in 0..150 {
        store
            .enqueue(&[new("default", &format!("q{n}"))])
            .await
            .unwrap();
        let mut claimed = Vec::new();
        while claimed.is_empty() {
            claimed = claim(&store, w, 5).await;
        }
        assert_eq!(claimed.len(), 1);
    }
    retiring.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_during_a_claim_ends_in_canceled() {
    let store = database().await.store;
    let w = worker(&store).await;
    for n in 0..60 {
        let query = new("default", &format!("q{n:02}"));
        let uid = query.uid;
        store.enqueue(&[query]).await.unwrap();
        let (runs, canceled) = tokio::join!(
            claim(&store, w, 1),
            store.cancel(std::slice::from_ref(&uid))
        );
        assert_eq!(canceled.unwrap(), 1);
        for run in runs {
            store
                .finish(&[finish(&run, done("an answer nobody wants"))])
                .await
                .unwrap();
        }
        claim(&store, w, 1).await;
    }
    let phases = final_phases(&store).await;
    assert_eq!(phases.len(), 60);
    assert!(
        phases.iter().all(|(_, phase, _)| *phase == Phase::Canceled),
        "{phases:?}"
    );
    assert_eq!(store.totals().await.unwrap().running, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_during_a_give_back_ends_in_canceled() {
    let store = database().await.store;
    let w = worker(&store).await;
    for n in 0..60 {
        let query = new("default", &format!("q{n:02}"));
        let uid = query.uid;
        store.enqueue(&[query]).await.unwrap();
        let run = claim(&store, w, 1).await.remove(0);
        let keys = [(run.execution, run.run_token)];
        let (back, canceled) = tokio::join!(
            store.give_back(&keys),
            store.cancel(std::slice::from_ref(&uid))
        );
        back.unwrap();
        canceled.unwrap();
        assert!(claim(&store, w, 1).await.is_empty());
    }
    tokio::time::timeout(Duration::from_secs(10), async {
        while final_phases(&store).await.len() < 60 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(
        final_phases(&store)
            .await
            .iter()
            .all(|(_, phase, _)| *phase == Phase::Canceled)
    );
}
