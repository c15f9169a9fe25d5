//! Messages as a client of Anthropic's API sends and reads them.

use ark_loadtest::provider::answer;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::client::{Fixture, SEED, ask, start};

fn say(input: &str) -> Value {
    json!({
        "model": "claude-test",
        "max_tokens": 512,
        "messages": [{"role": "user", "content": input}],
    })
}

async fn send(fixture: &Fixture, body: &Value) -> Response {
    let request = fixture.post("/v1/messages", body);
    let request = request
        .header("x-api-key", "any")
        .header("anthropic-version", "2023-06-01");
    request.send().await.unwrap()
}

async fn reply(fixture: &Fixture, body: &Value) -> Value {
    let response = send(fixture, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

/// The events of a stream; each is named by the type of its data.
async fn events(fixture: &Fixture, body: &Value) -> Vec<Value> {
    let mut body = body.clone();
    body["stream"] = json!(true);
    let text = send(fixture, &body).await.text().await.unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"]);
        data
    });
    events.collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    let mut types: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    types.dedup();
    types
}

#[tokio::test]
async fn an_answer_is_the_one_that_every_dialect_gives() {
    let fixture = start().await;
    let input = "What is the capital of France?";
    let expected = answer(SEED, "", &ask(input)["messages"]);
    let whole = reply(&fixture, &say(input)).await;
    assert_eq!(
        whole["content"],
        json!([{"type": "text", "text": expected}])
    );
    assert_eq!(whole["stop_reason"], "end_turn");

    let events = events(&fixture, &say(input)).await;
    assert_eq!(
        types(&events),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let text: String = events
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str())
        .collect();
    assert_eq!(text, expected);
    let end = &events[events.len() - 2];
    assert_eq!(
        end["usage"]["output_tokens"],
        whole["usage"]["output_tokens"]
    );
    let opening = &events[0]["message"]["usage"];
    assert_eq!(opening["input_tokens"], whole["usage"]["input_tokens"]);
}

#[tokio::test]
async fn tools_are_called_in_every_turn_before_the_last() {
    let fixture = start().await;
    let mut body = say("weather please: turns=3, calls=2");
    body["tools"] = json!([{"name": "get-weather", "input_schema": {
        "type": "object", "required": ["city"], "properties": {"city": {"type": "string"}},
    }}]);
    for _ in 0..2 {
        let whole = reply(&fixture, &body).await;
        assert_eq!(whole["stop_reason"], "tool_use");
        let calls = whole["content"].as_array().unwrap().clone();
        assert_eq!(calls.len(), 2);

        let events = events(&fixture, &body).await;
        let parts = |index: usize| {
            let deltas = events.iter().filter(move |event| event["index"] == index);
            let parts = deltas.filter_map(|event| event["delta"]["partial_json"].as_str());
            parts.collect::<String>()
        };
        let second: Value = serde_json::from_str(&parts(1)).unwrap();
        assert_eq!(second, calls[1]["input"]);
        assert!(second["city"].is_string());

        let results: Vec<_> = calls
            .iter()
            .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "18"}))
            .collect();
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": calls}));
        messages.push(json!({"role": "user", "content": results}));
    }
    let last = reply(&fixture, &body).await;
    assert_eq!(last["stop_reason"], "end_turn");
}

#[tokio::test]
async fn a_marked_prefix_is_written_to_the_cache_and_then_read() {
    let fixture = start().await;
    let ask = |input: &str| {
        let mut body = say(input);
        let mark = json!({"type": "ephemeral"});
        let text = "a long instruction ".repeat(50);
        body["system"] = json!([{"type": "text", "text": text, "cache_control": mark}]);
        body
    };
    let first = reply(&fixture, &ask("one")).await["usage"].clone();
    let second = reply(&fixture, &ask("two")).await["usage"].clone();
    let written = first["cache_creation_input_tokens"].as_u64().unwrap();
    assert!(written > 200);
    assert_eq!(first["cache_read_input_tokens"], 0);
    assert_eq!(second["cache_read_input_tokens"], written);
    assert_eq!(second["cache_creation_input_tokens"], 0);
    assert!(second["input_tokens"].as_u64().unwrap() < 10);
}

#[tokio::test]
async fn what_cannot_be_answered_gets_anthropic_s_error_object() {
    let fixture = start().await;
    let keyless = fixture.post("/v1/messages", &say("hello")).send().await;
    let keyless = keyless.unwrap();
    assert_eq!(keyless.status(), StatusCode::UNAUTHORIZED);
    let versionless = fixture.post("/v1/messages", &say("hello"));
    let versionless = versionless.header("x-api-key", "any").send().await.unwrap();
    assert_eq!(versionless.status(), StatusCode::BAD_REQUEST);
    for (status, kind) in [
        (500, "api_error"),
        (429, "rate_limit_error"),
        (529, "overloaded_error"),
    ] {
        let refused = send(&fixture, &say(&format!("fault={status}"))).await;
        assert_eq!(refused.status(), status);
        let error: Value = refused.json().await.unwrap();
        assert_eq!(
            (&error["type"], &error["error"]["type"]),
            (&json!("error"), &json!(kind))
        );
    }
    let broken = events(&fixture, &say("fault=error")).await;
    let last = broken.last().unwrap();
    assert_eq!(last["error"]["type"], "overloaded_error");
}
