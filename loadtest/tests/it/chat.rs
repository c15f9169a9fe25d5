//! Answers, streams and turns.

use ark_loadtest::provider::answer;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Fixture, SEED, Streamed, ask, assemble, start, streamed};

fn with_tool(mut body: Value) -> Value {
    body["tools"] = json!([{"type": "function", "function": {
        "name": "get-weather",
        "parameters": {
            "type": "object",
            "required": ["city", "unit"],
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
                "note": {"type": "string"},
            },
        },
    }}]);
    body
}

async fn stream(fixture: &Fixture, body: &Value) -> Streamed {
    let response = fixture.chat(&streamed(body.clone())).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assemble(&response.text().await.unwrap())
}

#[tokio::test]
async fn an_answer_is_the_predicted_one_on_every_path_and_in_both_modes() {
    let fixture = start().await;
    let body = ask("What is the capital of France?");
    let expected = answer(SEED, "gpt-test", &body["messages"]);
    let mut usage = Vec::new();
    for path in [
        "/v1/chat/completions",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/gpt-test/chat/completions?api-version=2024-10-21",
        "/v1/openai/deployments/gpt-test/chat/completions",
    ] {
        let response = fixture.post(path, &body).send().await.unwrap();
        let reply: Value = response.json().await.unwrap();
        assert_eq!(
            reply["choices"][0]["message"]["content"], expected,
            "{path}"
        );
        assert_eq!(reply["choices"][0]["finish_reason"], "stop");
        assert_eq!(reply["model"], "gpt-test");
        usage.push(reply["usage"].clone());
    }
    let streamed = stream(&fixture, &body).await;
    assert_eq!(streamed.text, expected);
    assert!(streamed.done && streamed.deltas > 3, "{streamed:?}");
    usage.push(streamed.usage.unwrap());
    assert!(usage.iter().all(|other| *other == usage[0]), "{usage:?}");
    assert!(usage[0]["prompt_tokens"].as_u64() > Some(0));
}

/// Plays an agent: calls tools until the provider answers, and returns the replies.
async fn converse(fixture: &Fixture, input: &str, in_stream: bool) -> (Vec<Vec<Value>>, String) {
    let mut body = with_tool(ask(input));
    let mut turns = Vec::new();
    loop {
        let (calls, text) = if in_stream {
            let reply = stream(fixture, &body).await;
            (reply.calls, reply.text)
        } else {
            let reply: Value = fixture.chat(&body).await.json().await.unwrap();
            let message = &reply["choices"][0]["message"];
            let calls = message["tool_calls"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            (
                calls,
                message["content"].as_str().unwrap_or_default().to_owned(),
            )
        };
        if calls.is_empty() {
            return (turns, text);
        }
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
        for call in &calls {
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "18"}));
        }
        turns.push(calls);
    }
}

#[tokio::test]
async fn turns_and_calls_asked_for_in_the_input_are_made_alike_in_both_modes() {
    let fixture = start().await;
    let input = "weather please: turns=3, calls=2";
    let (turns, text) = converse(&fixture, input, true).await;
    assert_eq!(text, answer(SEED, "", &ask(input)["messages"]));
    assert_eq!(turns.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    for call in turns.iter().flatten() {
        assert_eq!(call["function"]["name"], "get-weather");
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let names: Vec<_> = arguments.as_object().unwrap().keys().collect();
        assert_eq!(names, ["city", "unit"]);
        assert!(["celsius", "kelvin"].contains(&arguments["unit"].as_str().unwrap()));
    }
    assert_ne!(turns[0][0]["id"], turns[1][0]["id"]);
    assert_eq!(converse(&fixture, input, false).await, (turns, text));
}

#[tokio::test]
async fn structured_output_follows_the_schema() {
    let fixture = start().await;
    let mut body = ask("rate it");
    body["response_format"] = json!({"type": "json_schema", "json_schema": {
        "name": "rating",
        "schema": {
            "type": "object",
            "required": ["stars"],
            "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}},
        },
    }});
    let text = stream(&fixture, &body).await.text;
    let rating: Value = serde_json::from_str(&text).unwrap();
    assert!((1..=5).contains(&rating["stars"].as_i64().unwrap()));
}

#[tokio::test]
async fn what_cannot_be_answered_gets_openai_s_error_object() {
    let fixture = start().await;
    let no_messages = fixture.chat(&json!({"model": "gpt-test"})).await;
    assert_eq!(no_messages.status(), StatusCode::BAD_REQUEST);
    let error: Value = no_messages.json().await.unwrap();
    assert_eq!(error["error"]["type"], "invalid_request_error");
    let elsewhere = fixture
        .post("/v1/embeddings", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
    let models = fixture
        .http
        .get(format!("{}/models", fixture.running.url()));
    let models: Value = models.send().await.unwrap().json().await.unwrap();
    assert_eq!(models["object"], "list");
}
