//! Reports: newest wins, one reporter at a time, again when the status differs.

use std::time::Duration;

use ark_plan::status::Stage;
use ark_store::testing::database;
use ark_store::{Progress, Reported, Store};
use uuid::Uuid;

use crate::{claim, done, finish, new, worker};

const LEASE: Duration = Duration::from_secs(30);

async fn early(store: &Store, token: Uuid) -> Vec<ark_store::Report> {
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, async {
        loop {
            let reports = store
                .claim_reports(token, Progress::Early, 100, LEASE)
                .await
                .unwrap();
            if !reports.is_empty() {
                return reports;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("an early report becomes due")
}

fn settled(report: &ark_store::Report) -> Reported {
    Reported {
        execution: report.execution,
        wanted: report.wanted,
        resource_version: Some("12".into()),
    }
}

#[tokio::test]
async fn a_query_that_ends_at_once_is_reported_once() {
    let store = database().await.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    let w = worker(&store).await;
    let run = claim(&store, w, 1).await.remove(0);
    let token = Uuid::new_v4();
    assert!(
        store
            .claim_reports(token, Progress::Early, 10, LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    store.finish(&[finish(&run, done("hi"))]).await.unwrap();
    let reports = store
        .claim_reports(token, Progress::Terminal, 10, LEASE)
        .await
        .unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].facts.started_at.is_some() && reports[0].facts.ended_at.is_some());
    let other = Uuid::new_v4();
    assert!(
        store
            .claim_reports(other, Progress::Terminal, 10, LEASE)
            .await
            .unwrap()
            .is_empty(),
        "leased"
    );
    assert!(store.still_holds(token, run.execution).await.unwrap());
    assert!(!store.still_holds(other, run.execution).await.unwrap());
    assert_eq!(
        store
            .reported(other, &[settled(&reports[0])])
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .reported(token, &[settled(&reports[0])])
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.totals().await.unwrap().unreported, 0);

    assert_eq!(store.rearm(&[run.uid]).await.unwrap(), 1);
    let again = store
        .claim_reports(token, Progress::Terminal, 10, LEASE)
        .await
        .unwrap();
    assert_eq!((again.len(), again[0].wanted), (1, reports[0].wanted + 1));
    store.report_gone(token, &[run.execution]).await.unwrap();
    assert!(store.live(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn waiting_and_running_are_reported_after_a_second() {
    let store = database().await.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    let token = Uuid::new_v4();
    let queued = early(&store, token).await;
    assert!(matches!(queued[0].facts.stage, Stage::Queued { .. }));
    store.reported(token, &[settled(&queued[0])]).await.unwrap();
    let w = worker(&store).await;
    let run = claim(&store, w, 1).await.remove(0);
    let running = early(&store, token).await;
    assert!(matches!(running[0].facts.stage, Stage::Running { .. }));
    assert_eq!(running[0].resource_version.as_deref(), Some("12"));

    // The outcome overtakes a report that is under way.
    store.finish(&[finish(&run, done("hi"))]).await.unwrap();
    let newest = Uuid::new_v4();
    assert_eq!(
        store
            .claim_reports(newest, Progress::Terminal, 10, LEASE)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(!store.still_holds(token, run.execution).await.unwrap());
    assert_eq!(
        store
            .reported(token, &[settled(&running[0])])
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn a_finished_query_expires_at_its_ttl() {
    let store = database().await.store;
    let mut query = new("default", "q");
    query.ttl = Duration::from_secs(3600);
    store.enqueue(std::slice::from_ref(&query)).await.unwrap();
    let w = worker(&store).await;
    let run = claim(&store, w, 1).await.remove(0);
    store.finish(&[finish(&run, done("hi"))]).await.unwrap();
    assert!(store.expired(10).await.unwrap().is_empty());
    store.set_ttl(query.uid, Duration::ZERO).await.unwrap();
    let expired = store.expired(10).await.unwrap();
    assert_eq!((expired.len(), expired[0].uid), (1, query.uid));
    assert!(store.expired(10).await.unwrap().is_empty(), "leased");
    store.forget(&[query.uid]).await.unwrap();
    assert!(store.live(0, 10).await.unwrap().is_empty());
}
