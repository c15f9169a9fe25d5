//! Replies and errors in OpenAI's wire format.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::request::Request;
use super::script::{Call, Content, Reply};

/// `created` of every reply, in Unix seconds; a clock would make equal requests differ.
const CREATED: u64 = 1_735_689_600;

const FINGERPRINT: &str = "fp_ark_mock";

/// The last event of a complete stream.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// One server-sent event with `data` as its JSON.
pub(super) fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// The whole reply as one `chat.completion` object.
pub(super) fn completion(request: &Request, reply: &Reply) -> Value {
    json!({
        "id": format!("chatcmpl-{}", reply.token),
        "object": "chat.completion",
        "created": CREATED,
        "model": request.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [{
            "index": 0,
            "message": message(&reply.content),
            "logprobs": null,
            "finish_reason": finish_reason(&reply.content),
        }],
        "usage": usage(reply),
    })
}

fn message(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!({"role": "assistant", "content": text, "refusal": null}),
        Content::Calls(calls) => {
            let calls: Vec<_> = calls.iter().map(tool_call).collect();
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls})
        }
    }
}

fn tool_call(call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments});
    json!({"id": format!("call_{}", call.token), "type": "function", "function": function})
}

fn finish_reason(content: &Content) -> &'static str {
    match content {
        Content::Text(_) => "stop",
        Content::Calls(_) => "tool_calls",
    }
}

fn usage(reply: &Reply) -> Value {
    let Some(usage) = &reply.usage else {
        return Value::Null;
    };
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    })
}

/// The reply as the events of a stream, ended by usage (if asked for) and `[DONE]`.
pub(super) fn events(request: &Request, reply: &Reply) -> Vec<Bytes> {
    let deltas = match &reply.content {
        Content::Text(text) => text_deltas(text),
        Content::Calls(calls) => calls_deltas(calls),
    };
    let choice = |delta: Value, finish_reason: Value| {
        let choice = json!({
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
        });
        event(&chunk(request, reply, json!([choice]), Value::Null))
    };
    let mut events: Vec<_> = deltas
        .into_iter()
        .map(|delta| choice(delta, Value::Null))
        .collect();
    events.push(choice(json!({}), finish_reason(&reply.content).into()));
    if request.include_usage && reply.usage.is_some() {
        let last = chunk(request, reply, json!([]), usage(reply));
        events.push(event(&last));
    }
    events.push(DONE);
    events
}

/// With `include_usage` every chunk has the member `usage`, null in all but the last.
fn chunk(request: &Request, reply: &Reply, choices: Value, usage: Value) -> Value {
    let mut chunk = json!({
        "id": format!("chatcmpl-{}", reply.token),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": request.model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    });
    if request.include_usage {
        chunk["usage"] = usage;
    }
    chunk
}

fn text_deltas(text: &str) -> Vec<Value> {
    let opening = json!({"role": "assistant", "content": "", "refusal": null});
    let words = text
        .split_inclusive(' ')
        .map(|word| json!({"content": word}));
    std::iter::once(opening).chain(words).collect()
}

/// Each call opens with its id and name; its arguments follow in two parts that only together are JSON.
fn calls_deltas(calls: &[Call]) -> Vec<Value> {
    let mut deltas = vec![json!({"role": "assistant", "content": null})];
    for (index, call) in calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        deltas.push(json!({"tool_calls": [{
            "index": index, "id": format!("call_{}", call.token), "type": "function", "function": function,
        }]}));
        let middle = call.arguments.floor_char_boundary(call.arguments.len() / 2);
        let (first, second) = call.arguments.split_at(middle);
        for part in [first, second] {
            let function = json!({"arguments": part});
            deltas.push(json!({"tool_calls": [{"index": index, "function": function}]}));
        }
    }
    deltas
}

/// OpenAI's error object.
pub(super) fn error_object(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// An error answer with the type and code that OpenAI gives the status.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    let (kind, code) = match status.as_u16() {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("permission_error", None),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        503 | 529 => ("overloaded_error", None),
        400..=499 => ("invalid_request_error", None),
        _ => ("server_error", None),
    };
    (status, Json(error_object(kind, code, message))).into_response()
}

/// What a stream carries when it fails after it has begun.
pub(super) fn error_event() -> Bytes {
    let message = "The server had an error while processing your request.";
    event(&error_object("server_error", None, message))
}

/// 429 of the billing family.
pub(super) fn quota() -> Response {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    let body = error_object("insufficient_quota", Some("insufficient_quota"), message);
    (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response()
}

/// The answer to a path that the provider does not have.
pub(super) async fn unknown_path(uri: Uri) -> Response {
    let message = format!("Invalid URL ({})", uri.path());
    let body = error_object("invalid_request_error", None, &message);
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}
