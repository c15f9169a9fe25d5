//! Queries that are answered.

use std::time::Duration;

use ark_plan::{Source, Target, ToolCall};
use serde_json::{Value, json};

use crate::bench::{Bench, content};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_model_answers() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.kubernetes.create_secret("key", "token", "c2stMTIz");
    let mut model = bench.model();
    model.api_key = Some(Source::Secret {
        namespace: "default".into(),
        name: "key".into(),
        key: "token".into(),
    });
    let worker = bench.worker(4);
    let uid = bench.ask("q", Target::Model(model), "hello", MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "done", "{status}");
    assert_eq!(content(&status), bench.expected("hello"));
    assert!(status["tokenUsage"]["totalTokens"].as_i64().unwrap() > 0);
    let requests = bench.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].execution.as_deref(),
        Some(format!("{uid}/0").as_str())
    );
    assert_eq!(requests[0].path.as_deref(), Some("turn.1"));
    assert_eq!(
        bench.kubernetes.phases("q"),
        ["done"],
        "a query that ends at once costs one status write"
    );
}

#[tokio::test]
async fn an_agent_works_through_its_tools() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let text = "turns=3 calls=2 what is the weather?";
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
    assert_eq!(content(&status), bench.expected(text));
    let asked = [("tool", 4), ("turn.1", 1), ("turn.2", 1), ("turn.3", 1)]
        .map(|(path, count)| (path.to_owned(), count));
    assert_eq!(bench.paths(), asked);
    let raw: Value = serde_json::from_str(status["response"]["raw"].as_str().unwrap()).unwrap();
    let roles: Vec<_> = raw
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        [
            "assistant",
            "tool",
            "tool",
            "assistant",
            "tool",
            "tool",
            "assistant"
        ]
    );
    assert_eq!(raw[0]["name"], "a");
    assert_eq!(
        raw[1]["tool_call_id"], raw[0]["tool_calls"][0]["id"],
        "results stand in the order of their calls"
    );
    assert_eq!(raw[2]["tool_call_id"], raw[0]["tool_calls"][1]["id"]);
}

#[tokio::test]
async fn a_failing_tool_is_the_models_concern() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(4);
    let text = "turns=2 try it";
    bench
        .ask(
            "q",
            bench.agent(vec![bench.tool("GET", "fail")]),
            text,
            MINUTE,
        )
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "done", "{status}");
    let raw: Value = serde_json::from_str(status["response"]["raw"].as_str().unwrap()).unwrap();
    assert!(
        raw[1]["content"].as_str().unwrap().starts_with("HTTP 5"),
        "{raw}"
    );
}

#[tokio::test]
async fn a_tool_is_called_with_the_querys_input() {
    let bench = Bench::new(Duration::ZERO).await;
    let mut tool = bench.tool("GET", "weather?city={city}");
    tool.filters = vec![".city".into()];
    let worker = bench.worker(4);
    bench
        .ask(
            "q",
            Target::Tool(tool),
            &json!({"city": "São Paulo"}).to_string(),
            MINUTE,
        )
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "done", "{status}");
    assert_eq!(content(&status), "\"São Paulo\"");
}

#[tokio::test]
async fn a_tool_may_end_the_run() {
    let bench = Bench::new(Duration::ZERO).await;
    let mut tool = bench.tool("GET", "weather");
    tool.call = ToolCall::Terminate;
    tool.input_schema = json!({
        "type": "object", "required": ["response"], "properties": {"response": {"type": "string", "enum": ["the end"]}},
    });
    let worker = bench.worker(1);
    bench
        .ask("q", bench.agent(vec![tool]), "turns=9 go", MINUTE)
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(status["phase"], "done", "{status}");
    assert_eq!(content(&status), "the end");
    assert_eq!(bench.requests().len(), 1);
}

#[tokio::test]
async fn templates_are_filled_in_memory_and_what_is_absent_is_named() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.kubernetes.create_secret("vault", "word", "eHl6enk=");
    let worker = bench.worker(1);
    let secret = json!({"secret": {"namespace": "default", "name": "vault", "key": "word"}});
    let input = json!({
        "targetType": "agent", "targetName": "a", "text": "say {{.word}} {{.absent}}",
        "parameters": [{"name": "word", "value": secret}],
    });
    bench
        .ask_with("q", bench.agent(Vec::new()), input, MINUTE)
        .await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(
        content(&status),
        bench.expected("say xyzzy <no value>"),
        "{status}"
    );
    let warned = status["conditions"].to_string();
    assert!(warned.contains("absent"), "{status}");
}

#[tokio::test]
async fn a_nul_survives_the_whole_way() {
    let bench = Bench::new(Duration::ZERO).await;
    let worker = bench.worker(1);
    let text = "before\u{0}after \u{fffd} \u{1f600}";
    bench.ask("q", bench.agent(Vec::new()), text, MINUTE).await;
    let status = bench.kubernetes.ended("q").await;
    worker.stop().await;
    assert_eq!(content(&status), bench.expected(text), "{status}");
    assert!(content(&status).contains('\0'));
}

/// With more reports and runs at once than the database has connections, nobody may wait for a connection while holding
/// one; it shows as stalls of seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_queries_share_few_connections_without_a_stall() {
    const MANY: usize = 600;
    let bench = Bench::new(Duration::ZERO).await;
    for number in 0..MANY {
        let (name, text) = (format!("q{number}"), format!("number {number}"));
        bench
            .ask(&name, bench.agent(Vec::new()), &text, MINUTE)
            .await;
    }
    let workers = [bench.worker(100), bench.worker(100)];
    let all_ended = async {
        for number in 0..MANY {
            let status = bench.kubernetes.ended(&format!("q{number}")).await;
            assert_eq!(
                content(&status),
                bench.expected(&format!("number {number}"))
            );
        }
    };
    tokio::time::timeout(Duration::from_secs(15), all_ended)
        .await
        .expect("600 queries without latency take about a second");
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(bench.requests().len(), MANY);
}
