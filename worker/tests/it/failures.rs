//! Providers and configurations that fail.

use std::time::Duration;

use ark_plan::{Source, Target};

use crate::bench::{Bench, content};

const MINUTE: Duration = Duration::from_secs(60);

fn message(status: &serde_json::Value) -> &str {
    status["conditions"][0]["message"]
        .as_str()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_refused_call_is_made_again_no_sooner_than_asked() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let text = "fault=429*1 retry-after=1 please";
    bench.ask("q", bench.agent(Vec::new()), text, MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "done", "{status}");
    assert_eq!(content(&status), bench.expected(text));
    let requests = bench.requests();
    let attempts: Vec<_> = requests.iter().map(|line| line.attempt.unwrap()).collect();
    assert_eq!(attempts, [1, 2]);
    assert!((requests[1].start - requests[0].end).num_milliseconds() >= 1000);
}

#[tokio::test]
async fn a_retry_goes_on_after_the_last_committed_turn() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let text = "turns=3 fault=cut@2*1 go";
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
    assert_eq!(content(&status), bench.expected(text), "{status}");
    let asked = [("tool", 2), ("turn.1", 1), ("turn.2", 2), ("turn.3", 1)]
        .map(|(path, count)| (path.to_owned(), count));
    assert_eq!(
        bench.paths(),
        asked,
        "a cut reply is neither an answer nor committed"
    );
}

#[tokio::test]
async fn money_is_not_asked_for_twice() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    bench
        .ask("q", bench.agent(Vec::new()), "fault=quota", MINUTE)
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert!(message(&status).starts_with("Quota: "), "{status}");
    assert_eq!(bench.requests().len(), 1);
}

#[tokio::test]
async fn a_missing_secret_is_named() {
    let bench = Bench::new(Duration::ZERO).await;
    let mut model = bench.model();
    model.api_key = Some(Source::Secret {
        namespace: "default".into(),
        name: "absent".into(),
        key: "token".into(),
    });
    let worker = bench.worker(4);
    bench.ask("q", Target::Model(model), "hello", MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "error");
    assert!(
        message(&status).starts_with("Configuration: Secret default/absent does not exist"),
        "{status}"
    );
    assert!(bench.requests().is_empty());
}

#[tokio::test]
async fn a_model_that_never_answers_meets_the_turn_limit() {
    let bench = Bench::new(Duration::ZERO).await;
    let Target::Agent(mut agent) = bench.agent(vec![bench.tool("GET", "weather")]) else {
        panic!("an agent");
    };
    agent.max_turns = 2;
    let worker = bench.worker(1);
    bench
        .ask("q", Target::Agent(agent), "turns=9 go", MINUTE)
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "error");
    assert!(message(&status).starts_with("TurnLimit: "), "{status}");
    assert_eq!(
        bench
            .paths()
            .iter()
            .filter(|(path, _)| path != "tool")
            .count(),
        2
    );
    assert!(
        status["tokenUsage"]["totalTokens"].as_i64().unwrap() > 0,
        "what it cost is told"
    );
}
