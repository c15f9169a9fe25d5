//! Agents with an `outputSchema`.

use std::time::Duration;

use ark_plan::Target;
use serde_json::{Value, json};

use crate::bench::{Bench, content};

const MINUTE: Duration = Duration::from_secs(60);

fn agent(bench: &Bench, provider: &str, schema: Value) -> Target {
    let mut agent = bench.agent_plan(bench.model_at(provider), Vec::new());
    agent.output_schema = Some(schema);
    Target::Agent(agent)
}

#[tokio::test]
async fn answers_are_structured_at_every_provider() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["mood", "score"],
        "properties": {"mood": {"enum": ["good", "bad"]}, "score": {"type": "integer"}},
    });
    for provider in ["openai", "azure", "anthropic"] {
        let agent = agent(&bench, provider, schema.clone());
        bench.ask(provider, agent, "how is it?", MINUTE).await;
        let status = bench.kubernetes.ended(provider).await;
        assert_eq!(status["phase"], "done", "{status}");
        let answer: Value = serde_json::from_str(content(&status)).unwrap();
        assert!(answer["score"].is_i64(), "{answer}");
    }
    worker.stop().await;
    assert_eq!(bench.requests().len(), 3, "nothing had to be corrected");
}

/// The fake provider takes one of the letters, as its input has it, and knows no `not`.
#[tokio::test]
async fn an_answer_that_does_not_fit_is_corrected_or_ends_the_query() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(16);
    let mut asked = Vec::new();
    for wrong in ["a", "b", "c"] {
        let schema = json!({"enum": ["a", "b", "c"], "not": {"const": wrong}});
        for number in 0..5 {
            let name = format!("{wrong}{number}");
            let agent = agent(&bench, "openai", schema.clone());
            let uid = bench.ask(&name, agent, &name, MINUTE).await;
            asked.push((name, uid, wrong));
        }
    }
    let never = agent(
        &bench,
        "openai",
        json!({"enum": ["a"], "not": {"const": "a"}}),
    );
    let uid = bench.ask("never", never, "hello", MINUTE).await;
    asked.push(("never".to_owned(), uid, "a"));
    let mut corrected = 0;
    for (name, uid, wrong) in asked {
        let status = bench.kubernetes.ended(&name).await;
        let execution = Some(format!("{uid}/0"));
        let requests = bench.requests();
        let calls = requests
            .iter()
            .filter(|line| line.execution == execution)
            .count();
        if name != "never" {
            assert_eq!(status["phase"], "done", "{name}: {status}");
            assert_ne!(content(&status), format!("\"{wrong}\""), "{name}");
            assert!(calls <= 3, "{name}: {calls}");
            corrected += usize::from(calls > 1);
        } else {
            let message = status["conditions"][0]["message"].as_str().unwrap();
            assert!(message.starts_with("BadReply: "), "{name}: {message}");
            assert!(message.contains("outputSchema of Agent a"), "{message}");
            assert_eq!(calls, 3, "{name}: asked, corrected twice, and not again");
        }
    }
    worker.stop().await;
    assert!(corrected > 0);
}

#[tokio::test]
async fn a_schema_that_is_none_costs_nothing() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let agent = agent(&bench, "openai", json!({"type": "text"}));
    bench.ask("q", agent, "hello", MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Configuration: Agent default/a: spec.outputSchema"),
        "{message}"
    );
    assert!(bench.requests().is_empty());
}
