//! The same agent at each provider: tools, usage and credentials.

use std::time::Duration;

use ark_plan::{Parameter, Source, Target};
use serde_json::json;

use crate::bench::{Bench, content};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_provider_works_through_its_tools() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(8);
    let text = "turns=3 calls=2 go";
    for provider in ["openai", "azure", "anthropic"] {
        let tools = vec![bench.tool("GET", "weather")];
        let agent = bench.agent_plan(bench.model_at(provider), tools);
        let uid = bench
            .ask(provider, Target::Agent(agent), text, MINUTE)
            .await;
        let status = bench.kubernetes.ended(provider).await;
        assert_eq!(
            content(&status),
            bench.expected(text),
            "{provider} {status}"
        );
        let execution = format!("{uid}/0");
        let requests = bench.requests();
        let ours = requests
            .iter()
            .filter(|line| line.execution.as_ref() == Some(&execution));
        assert_eq!(ours.count(), 3 + 4, "{provider}: three turns, four calls");
        let usage = &status["tokenUsage"];
        let count = |name: &str| usage[name].as_i64().unwrap();
        assert_eq!(
            count("totalTokens"),
            count("promptTokens") + count("completionTokens"),
            "{provider} {usage}"
        );
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_key_and_an_address_may_come_from_a_secret() {
    let bench = Bench::new(Duration::ZERO).await;
    let secret = |key: &str| Source::Secret {
        namespace: "default".into(),
        name: "provider".into(),
        key: key.into(),
    };
    // A metadata service of a cloud, at which no Model may point.
    bench
        .kubernetes
        .create_secret("provider", "url", "aHR0cDovLzE2OS4yNTQuMTY5LjI1NA==");
    let mut model = bench.model_at("anthropic");
    model.base_url = secret("url");
    let worker = bench.worker(4);
    bench.ask("q", Target::Model(model), "hello", MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Configuration: Model default/m: baseUrl"),
        "{message}"
    );
    assert!(
        !message.contains("169.254"),
        "a Secret's value is not shown"
    );
}

#[tokio::test]
async fn what_a_provider_cannot_use_is_named() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let mut keyless = bench.model_at("azure");
    keyless.api_key = None;
    let mut header = bench.model_at("openai");
    header.headers = vec![Parameter {
        name: "X-Team\n".into(),
        value: Source::Literal("a".into()),
    }];
    for (name, model, class) in [
        ("keyless", keyless, "Unsupported: "),
        ("header", header, "Configuration: "),
        ("bedrock", bench.model_at("bedrock"), "Unsupported: "),
    ] {
        bench.ask(name, Target::Model(model), "hello", MINUTE).await;
        let status = bench.kubernetes.ended(name).await;
        let message = status["conditions"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(class), "{name}: {message}");
    }
    worker.stop().await;
    assert!(bench.requests().is_empty());
}

#[tokio::test]
async fn a_prompt_that_was_marked_is_read_from_the_cache() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let tools = vec![bench.tool("GET", "weather")];
    let mut agent = bench.agent_plan(bench.model_at("anthropic"), tools);
    // Providers cache nothing shorter than a thousand tokens.
    agent.prompt = "Be brief. ".repeat(2_000);
    let input = json!({"targetType": "agent", "targetName": "a", "text": "turns=3 go"});
    bench
        .ask_with("q", Target::Agent(agent), input, MINUTE)
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    let usage = &status["tokenUsage"];
    let cached = usage["cachedTokens"].as_i64().unwrap();
    assert!(
        cached > 2 * 5_000,
        "the prompt of two of three turns: {usage}"
    );
    assert!(cached < usage["promptTokens"].as_i64().unwrap(), "{usage}");
}
