//! Leases count ticks: who falls six behind is dead, stays dead, and can write nothing.

use std::time::Duration;

use ark_plan::{Class, Phase};
use ark_store::testing::database;
use ark_store::{Beat, Fenced, Intent, NewStep, StepKind, Store, Upkeep};
use uuid::Uuid;

use crate::{claim, done, final_phases, finish, new, worker};

/// Beats with one incarnation until the clock has made so many ticks.
async fn pass(store: &Store, incarnation: Uuid, ticks: i64) {
    let mut connection = store.beat_connection();
    let mut first = None;
    loop {
        let Beat::Alive { tick, .. } = connection.beat(incarnation, 1).await.unwrap() else {
            panic!("died")
        };
        if tick >= *first.get_or_insert(tick) + ticks {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_dead_are_taken_over_and_write_nothing() {
    let store = database().await.store;
    store
        .enqueue(&[new("default", "q"), new("default", "r")])
        .await
        .unwrap();
    let (dead, alive) = (worker(&store).await, worker(&store).await);
    let runs = claim(&store, dead, 2).await;
    assert_eq!(store.upkeep(Upkeep::Reap).await.unwrap().changed, 0);
    pass(&store, alive, 6).await;
    let done_by_reaper = store.upkeep(Upkeep::Reap).await.unwrap();
    assert_eq!(
        (done_by_reaper.changed, done_by_reaper.reaped.len()),
        (2, 1)
    );

    let mut connection = store.beat_connection();
    assert_eq!(connection.beat(dead, 1).await.unwrap(), Beat::Dead);
    assert!(
        claim(&store, dead, 5).await.is_empty(),
        "the dead claim nothing"
    );
    let fenced = store
        .finish(&[finish(&runs[0], done("late"))])
        .await
        .unwrap();
    assert_eq!(fenced, vec![Fenced::Stop(Intent::Lost)]);

    let again = claim(&store, alive, 5).await;
    assert_eq!(again.len(), 2);
    assert!(
        again
            .iter()
            .all(|run| run.takeovers == 1 && run.attempt == 1 && run.resumed)
    );
    let successor = again
        .iter()
        .find(|run| run.execution == runs[0].execution)
        .unwrap();
    assert_eq!(
        store
            .finish(&[finish(successor, done("ok"))])
            .await
            .unwrap(),
        vec![Fenced::Committed]
    );
    let fenced = store
        .finish(&[finish(&runs[0], done("late"))])
        .await
        .unwrap();
    assert_eq!(fenced, vec![Fenced::Stop(Intent::Ended)]);
}

#[tokio::test]
async fn three_losses_without_progress_end_a_run() {
    let store = database().await.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    for loss in 0..5 {
        let w = worker(&store).await;
        let Some(run) = claim(&store, w, 1).await.pop() else {
            break;
        };
        assert_eq!(
            run.takeovers,
            [0, 1, 0, 1, 2][loss],
            "a committed step counts as progress"
        );
        if loss == 1 {
            let step = NewStep {
                execution: run.execution,
                run_token: run.run_token,
                path: "turn.1".into(),
                kind: StepKind::Reply,
                request_hash: [0; 32],
                body: "{}".into(),
                usage: Default::default(),
            };
            store.commit_steps(&[step]).await.unwrap();
        }
        // An orderly leave with runs in hand hands them over as from the dead.
        store.deregister(w).await.unwrap();
        assert_eq!(store.upkeep(Upkeep::Reap).await.unwrap().changed, 1);
    }
    assert_eq!(
        final_phases(&store).await,
        vec![("q".into(), Phase::Error, Some(Class::WorkerLost))]
    );
}

#[tokio::test]
async fn a_beat_says_what_is_to_stop() {
    let store = database().await.store;
    store
        .enqueue(&[new("default", "q"), new("default", "r")])
        .await
        .unwrap();
    let w = worker(&store).await;
    let runs = claim(&store, w, 2).await;
    store.cancel(&[runs[0].uid]).await.unwrap();
    store.forget(&[runs[1].uid]).await.unwrap();
    let Beat::Alive { mut stop, .. } = store.beat_connection().beat(w, 1).await.unwrap() else {
        panic!("died")
    };
    stop.sort_by_key(|stop| stop.execution);
    let why: Vec<(i64, Intent)> = stop.iter().map(|stop| (stop.execution, stop.why)).collect();
    let mut expected = vec![
        (runs[0].execution, Intent::Cancel),
        (runs[1].execution, Intent::Delete),
    ];
    expected.sort_by_key(|entry| entry.0);
    assert_eq!(why, expected);
    let fenced = store
        .finish(&[finish(&runs[0], done("too late"))])
        .await
        .unwrap();
    assert_eq!(fenced, vec![Fenced::Committed]);
    assert_eq!(
        final_phases(&store).await,
        vec![("q".into(), Phase::Canceled, None)]
    );
}
