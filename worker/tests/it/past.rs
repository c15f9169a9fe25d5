//! What earlier runs committed: found again by whoever goes on, also where a run or its database went astray.

use std::time::Duration;

use ark_store::Retry;
use uuid::Uuid;

use crate::bench::{Bench, content, until};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_run_whose_step_finds_another_in_its_place_goes_on_from_that() {
    let bench = Bench::new(Duration::from_secs(1)).await;
    let worker = bench.worker(4);
    bench
        .ask("q", bench.agent(Vec::new()), "hello", MINUTE)
        .await;
    until(async || bench.store.totals().await.unwrap().running == 1).await;
    bench.database.insert_step("q", "turn.1", 1).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(content(&status), bench.expected("hello"), "{status}");
    assert_eq!(bench.paths(), [("turn.1".to_owned(), 2)]);
    assert!(
        bench.requests().iter().all(|line| line.attempt == Some(1)),
        "it is not held against the run"
    );
}

#[tokio::test]
async fn a_past_that_cannot_be_read_harms_only_its_own_run() {
    let bench = Bench::new(Duration::ZERO).await;
    for name in ["good", "bad"] {
        bench.ask(name, bench.agent(Vec::new()), name, MINUTE).await;
    }
    let (incarnation, run_token) = (Uuid::new_v4(), Uuid::new_v4());
    bench
        .store
        .register(incarnation, "earlier", 2)
        .await
        .unwrap();
    let claimed = bench
        .store
        .claim(incarnation, run_token, 2, ark_plan::FORMAT, &[])
        .await
        .unwrap();
    let again = |run: &ark_store::Run| Retry {
        execution: run.execution,
        run_token,
        delay: Duration::ZERO,
        attempt_counts: false,
    };
    let again: Vec<_> = claimed.runs.iter().map(again).collect();
    assert_eq!(again.len(), 2);
    bench.database.insert_step("bad", "turn.1", 9).await;
    bench.store.retry_later(&again).await.unwrap();
    let worker = bench.worker(4);
    let (good, bad) = (
        bench.kubernetes.ended("good").await,
        bench.kubernetes.ended("bad").await,
    );
    worker.stop().await;
    assert_eq!(content(&good), bench.expected("good"), "{good}");
    let message = bad["conditions"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("Internal: "), "{bad}");
    assert_eq!(bench.requests().len(), 1);
}
