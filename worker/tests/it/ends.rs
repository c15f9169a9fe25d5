//! Ends that come from outside: cancel, deadline, drain, a Query under the same name.

use std::time::Duration;

use ark_loadtest::provider::Status;
use ark_plan::{Limits, Target};
use uuid::Uuid;

use crate::bench::{Bench, until};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn cancel_stops_the_call_within_a_second() {
    let bench = Bench::new(MINUTE).await;
    let worker = bench.worker(4);
    let uid = bench
        .ask("q", bench.agent(Vec::new()), "hello", MINUTE)
        .await;
    until(async || bench.store.totals().await.unwrap().running == 1).await;
    // The call is in flight once the provider has it; the beat's own second must not be what stops it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let canceled = chrono::Utc::now();
    assert_eq!(bench.store.cancel(&[uid]).await.unwrap(), 1);
    let status = bench.kubernetes.ended("q").await;
    assert_eq!(status["phase"], "canceled");
    until(async || !bench.requests().is_empty()).await;
    worker.stop().await;
    let requests = bench.requests();
    assert_eq!(requests[0].status, Status::Aborted);
    assert!(
        (requests[0].end - canceled).num_milliseconds() < 1000,
        "{requests:?}"
    );
}

#[tokio::test]
async fn the_deadline_ends_a_hanging_call() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    bench
        .ask(
            "q",
            bench.agent(Vec::new()),
            "fault=hang",
            Duration::from_secs(1),
        )
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "error");
    assert_eq!(
        status["conditions"][0]["reason"], "TimedOutInExecution",
        "{status}"
    );
}

#[tokio::test]
async fn a_drained_worker_finishes_what_runs_and_gives_back_the_rest() {
    let bench = Bench::new(Duration::from_millis(700)).await;
    let mut model = bench.model();
    model.limits = Limits {
        concurrency: Some(1),
        requests_per_minute: None,
    };
    for name in ["a", "b", "c"] {
        bench
            .ask(name, Target::Model(model.clone()), name, MINUTE)
            .await;
    }
    let worker = bench.worker(3);
    until(async || bench.store.totals().await.unwrap().running == 3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    worker.stop().await;
    let totals = bench.store.totals().await.unwrap();
    assert_eq!((totals.running, totals.ready, totals.scheduled), (0, 2, 0));
    assert_eq!(bench.requests().len(), 1);
    let ended = ["a", "b", "c"]
        .iter()
        .filter(|name| bench.kubernetes.status(name)["phase"] == "done")
        .count();
    assert_eq!(ended, 1, "what was finished is also reported");
    let next = bench.worker(3);
    for name in ["a", "b", "c"] {
        assert_eq!(bench.kubernetes.ended(name).await["phase"], "done");
    }
    next.stop().await;
    assert_eq!(bench.requests().len(), 3);
    assert!(
        bench.requests().iter().all(|line| line.attempt == Some(1)),
        "what was given back had not been tried"
    );
}

#[tokio::test]
async fn an_older_querys_answer_never_reaches_its_namesake() {
    let bench = Bench::new(Duration::from_millis(300)).await;
    let worker = bench.worker(4);
    bench.ask("q", bench.agent(Vec::new()), "old", MINUTE).await;
    until(async || bench.store.totals().await.unwrap().running == 1).await;
    bench.kubernetes.create_query("q", Uuid::new_v4());
    until(async || {
        let totals = bench.store.totals().await.unwrap();
        totals.running == 0 && totals.unreported == 0
    })
    .await;
    worker.stop().await;
    assert!(bench.kubernetes.status("q").is_null());
}
