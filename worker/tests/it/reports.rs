//! What reaches `Query.status`, and what does not.

use std::time::Duration;

use crate::bench::{Bench, content};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_query_is_canceled_and_reported_with_no_worker_alive() {
    let bench = Bench::new(Duration::ZERO).await;
    let caretaker = bench.worker(0);
    let uid = bench
        .ask("q", bench.agent(Vec::new()), "hello", MINUTE)
        .await;
    bench.kubernetes.reached("q", "queued").await;
    bench.store.cancel(&[uid]).await.unwrap();
    assert_eq!(bench.kubernetes.ended("q").await["phase"], "canceled");
    caretaker.stop().await;
    assert!(bench.requests().is_empty());
}

#[tokio::test]
async fn a_schema_without_queued_is_learned() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.kubernetes.lack_queued();
    let caretaker = bench.worker(0);
    bench
        .ask("q", bench.agent(Vec::new()), "hello", MINUTE)
        .await;
    bench.kubernetes.reached("q", "pending").await;
    let worker = bench.worker(1);
    assert_eq!(bench.kubernetes.ended("q").await["phase"], "done");
    worker.stop().await;
    caretaker.stop().await;
    assert_eq!(bench.kubernetes.phases("q"), ["pending", "done"]);
}

#[tokio::test]
async fn an_edit_in_between_does_not_lose_the_report() {
    let bench = Bench::new(Duration::from_millis(2500)).await;
    let worker = bench.worker(1);
    bench
        .ask("q", bench.agent(Vec::new()), "hello", MINUTE)
        .await;
    bench.kubernetes.reached("q", "running").await;
    bench.kubernetes.touch("q");
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(content(&status), bench.expected("hello"));
    assert_eq!(bench.kubernetes.phases("q"), ["running", "done"]);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_replaced_by_where_it_is() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.kubernetes.limit_status(2000);
    let worker = bench.worker(1);
    let text = "turns=9 calls=3 a long way";
    bench
        .ask(
            "q",
            bench.agent(vec![bench.tool("GET", "weather")]),
            text,
            MINUTE,
        )
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "done", "{status}");
    assert!(content(&status).contains("queue.outcomes"), "{status}");
}
