//! The same agent at each provider: tools, usage and credentials.

use std::net::SocketAddr;
use std::time::Duration;

use ark_plan::{Parameter, Source, Target};
use ark_worker::Overrides;
use axum::Json;
use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};
use tokio::sync::mpsc;

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

/// A provider that answers everything in one piece and shows what it was sent.
async fn listener() -> (SocketAddr, mpsc::UnboundedReceiver<(Uri, HeaderMap, Value)>) {
    let (sent, received) = mpsc::unbounded_channel();
    let answer = move |uri: Uri, headers: HeaderMap, Json(body): Json<Value>| async move {
        sent.send((uri, headers, body)).unwrap();
        Json(json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}))
    };
    let router = axum::Router::new().fallback(answer);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(socket, router).await });
    (address, received)
}

#[tokio::test]
async fn a_call_carries_what_model_and_query_say() {
    let bench = Bench::new(Duration::ZERO).await;
    let (address, mut received) = listener().await;
    let header = |name: &str, value: &str| Parameter {
        name: name.into(),
        value: Source::Literal(value.into()),
    };
    let mut model = bench.model_at("azure");
    model.base_url = Source::Literal(format!("http://{address}/"));
    model.headers = vec![
        header("X-Team", "model"),
        header("X-Kept", "model"),
        header("Content-Length", "1"),
    ];
    model.properties = vec![header("temperature", "0.5"), header("model", "other")];
    let target = Target::Agent(bench.agent_plan(model, Vec::new()));
    let worker = bench.worker(4);
    let input = json!({
        "targetType": "agent", "targetName": "a", "text": "hello",
        "modelHeaders": [{"name": "x-team", "value": {"literal": "query"}}],
    });
    let uid = bench.ask_with("q", target, input, MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(content(&status), "hi");
    let (uri, headers, body) = received.recv().await.unwrap();
    assert_eq!(
        uri,
        "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    );
    for (name, value) in [
        ("api-key", "key"),
        ("x-team", "query"),
        ("x-kept", "model"),
        ("x-ark-execution", &format!("{uid}/0")),
        ("x-ark-path", "turn.1"),
        ("traceparent", &ark_api::trace::traceparent(uid)),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let said =
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]);
    assert_eq!(
        body,
        json!({"model": "gpt", "messages": said, "temperature": 0.5, "stream": true,
            "stream_options": {"include_usage": true}})
    );
}

#[tokio::test]
async fn own_credentials_do_not_follow_an_override() {
    let bench = Bench::new(Duration::ZERO).await;
    let (address, mut received) = listener().await;
    let secret = Source::Secret {
        namespace: "default".into(),
        name: "absent".into(),
        key: "token".into(),
    };
    let mut model = bench.model();
    model.base_url = Source::Literal("https://api.openai.com/v1".into());
    model.api_key = Some(secret.clone());
    model.headers = vec![Parameter {
        name: "X-Gateway-Key".into(),
        value: secret,
    }];
    for key in [None, Some("theirs")] {
        let mut config = bench.config(4);
        config.overrides = Overrides {
            openai_base_url: Some(format!("http://{address}/v1")),
            openai_api_key: key.map(str::to_owned),
            anthropic_api_key: Some("elsewhere".into()),
        };
        let worker = bench.worker_with(config);
        let name = key.unwrap_or("none");
        bench
            .ask(name, Target::Model(model.clone()), "hello", MINUTE)
            .await;
        let status = bench.kubernetes.ended(name).await;
        worker.stop().await;
        assert_eq!(content(&status), "hi", "{status}");
        let (uri, headers, _) = received.recv().await.unwrap();
        assert_eq!(uri, "/v1/chat/completions");
        let bearer = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap());
        assert_eq!(bearer, key.map(|_| "Bearer theirs"));
        assert!(!headers.contains_key("x-gateway-key"));
    }
}
