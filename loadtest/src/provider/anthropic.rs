//! Requests, replies and errors of Anthropic's Messages API.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::request::{CacheMark, Request, Tool, prompt_hash, text_of};
use super::script::{Call, Content, Reply, Usage};

/// Checks the headers that every request must carry; any key will do.
///
/// The error is the status and the message of the refusal.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    if !headers.contains_key("x-api-key") {
        return Err((StatusCode::UNAUTHORIZED, "x-api-key header is required"));
    }
    if !headers.contains_key("anthropic-version") {
        let message = "anthropic-version: header is required";
        return Err((StatusCode::BAD_REQUEST, message));
    }
    Ok(())
}

/// Reads a request body; the error is the message of the refusal.
pub(super) fn parse(body: &[u8]) -> Result<Request, String> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| format!("The request body is not valid JSON: {error}"))?;
    let Some(said) = body["messages"].as_array().filter(|said| !said.is_empty()) else {
        return Err("messages: at least one message is required".to_owned());
    };
    let model = body["model"].as_str().ok_or("model: Field required")?;
    let max_tokens = body["max_tokens"].as_u64();
    let max_tokens = max_tokens.ok_or("max_tokens: Field required")?;
    let mut messages = Vec::new();
    if !body["system"].is_null() {
        messages.push(json!({"role": "system", "content": text_of(&body["system"])}));
    }
    for message in said {
        neutral(message, &mut messages)?;
    }
    let messages = Value::Array(messages);
    Ok(Request {
        model: model.to_owned(),
        prompt_hash: prompt_hash(&messages),
        messages,
        tools: offered_tools(&body),
        must_call: ["any", "tool"].contains(&body["tool_choice"]["type"].as_str().unwrap_or("")),
        output_schema: output_schema(&body),
        stream: body["stream"] == true,
        include_usage: true,
        max_tokens: usize::try_from(max_tokens).ok(),
        cache_marks: cache_marks(&body),
    })
}

/// Adds a message in OpenAI's form: tool results are messages of their own there, before what the user says.
fn neutral(message: &Value, messages: &mut Vec<Value>) -> Result<(), String> {
    let content = &message["content"];
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    let of_type = |name: &'static str| blocks.iter().filter(move |block| block["type"] == name);
    match message["role"].as_str() {
        Some("user") => {
            let results = of_type("tool_result").map(|block| {
                json!({
                    "role": "tool",
                    "tool_call_id": block["tool_use_id"],
                    "content": text_of(&block["content"]),
                })
            });
            messages.extend(results);
            if content.is_string() || of_type("text").next().is_some() {
                messages.push(json!({"role": "user", "content": text_of(content)}));
            }
            Ok(())
        }
        Some("assistant") => {
            let calls: Vec<Value> = of_type("tool_use")
                .map(|block| {
                    let arguments = block["input"].to_string();
                    let function = json!({"name": block["name"], "arguments": arguments});
                    json!({"id": block["id"], "type": "function", "function": function})
                })
                .collect();
            let mut reply = json!({"role": "assistant", "content": text_of(content)});
            if !calls.is_empty() {
                reply["tool_calls"] = Value::Array(calls);
            }
            messages.push(reply);
            Ok(())
        }
        _ => Err("messages: role must be 'user' or 'assistant'".to_owned()),
    }
}

fn offered_tools(body: &Value) -> Vec<Tool> {
    let choice = &body["tool_choice"];
    if choice["type"] == "none" {
        return Vec::new();
    }
    let tools = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    tools
        .iter()
        .filter(|tool| choice["type"] != "tool" || choice["name"] == tool["name"])
        .filter_map(|tool| {
            Some(Tool {
                name: tool["name"].as_str()?.to_owned(),
                parameters: tool["input_schema"].clone(),
            })
        })
        .collect()
}

fn output_schema(body: &Value) -> Option<Value> {
    let format = ["/output_config/format", "/output_format"]
        .iter()
        .find_map(|pointer| body.pointer(pointer))?;
    format.get("schema").cloned()
}

/// The marked beginnings of the prompt, which runs from the tools over the system text to the messages.
fn cache_marks(body: &Value) -> Vec<CacheMark> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let messages = list(&body["messages"]);
    let blocks = list(&body["tools"])
        .into_iter()
        .chain(list(&body["system"]))
        .chain(
            messages
                .iter()
                .flat_map(|message| list(&message["content"])),
        );
    let mut hasher = Sha256::new_with_prefix(body["model"].as_str().unwrap_or_default());
    let mut characters = 0;
    let mut marks = Vec::new();
    for mut block in blocks {
        let marked = block
            .as_object_mut()
            .and_then(|block| block.remove("cache_control"))
            .is_some_and(|mark| !mark.is_null());
        hasher.update(block.to_string());
        characters += match block["text"].as_str() {
            Some(text) => text.chars().count(),
            None => block.to_string().len(),
        };
        if marked {
            marks.push(CacheMark {
                hash: hasher.clone().finalize().into(),
                tokens: characters.div_ceil(4),
            });
        }
    }
    marks
}

/// The whole reply as one `message` object.
pub(super) fn message(request: &Request, reply: &Reply) -> Value {
    let mut message = opening(request, reply);
    message["content"] = match &reply.content {
        Content::Text(text) => json!([{"type": "text", "text": text}]),
        Content::Calls(calls) => calls
            .iter()
            .map(|call| {
                let mut block = tool_use(call);
                block["input"] = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
                block
            })
            .collect(),
    };
    message["stop_reason"] = stop_reason(&reply.content).into();
    if let Some(usage) = &reply.usage {
        message["usage"]["output_tokens"] = usage.completion.into();
    }
    message
}

/// The message as a stream opens it: without content, with the cost of the prompt.
fn opening(request: &Request, reply: &Reply) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", reply.token),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    });
    if let Some(usage) = &reply.usage {
        message["usage"] = input_usage(usage);
    }
    message
}

/// Tokens that the cache took part in are not counted as input.
fn input_usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt - usage.cache_read - usage.cache_written,
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": 1,
    })
}

fn tool_use(call: &Call) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_{}", call.token), "name": call.name, "input": {}})
}

fn stop_reason(content: &Content) -> &'static str {
    match content {
        Content::Text(_) => "end_turn",
        Content::Calls(_) => "tool_use",
    }
}

/// The reply as the events of a stream.
pub(super) fn events(request: &Request, reply: &Reply) -> Vec<Bytes> {
    let mut events = vec![event(
        &json!({"type": "message_start", "message": opening(request, reply)}),
    )];
    match &reply.content {
        Content::Text(text) => {
            let deltas = text
                .split_inclusive(' ')
                .map(|word| json!({"type": "text_delta", "text": word}));
            block(&mut events, 0, json!({"type": "text", "text": ""}), deltas);
        }
        Content::Calls(calls) => {
            for (index, call) in calls.iter().enumerate() {
                let middle = call.arguments.floor_char_boundary(call.arguments.len() / 2);
                let (first, second) = call.arguments.split_at(middle);
                let deltas = ["", first, second]
                    .map(|part| json!({"type": "input_json_delta", "partial_json": part}));
                block(&mut events, index, tool_use(call), deltas.into_iter());
            }
        }
    }
    let mut end = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(&reply.content), "stop_sequence": null},
    });
    if let Some(usage) = &reply.usage {
        end["usage"] = json!({"output_tokens": usage.completion});
    }
    events.push(event(&end));
    events.push(event(&json!({"type": "message_stop"})));
    events
}

/// One content block from its start to its stop; the first is followed by a ping.
fn block(events: &mut Vec<Bytes>, index: usize, start: Value, deltas: impl Iterator<Item = Value>) {
    events.push(event(
        &json!({"type": "content_block_start", "index": index, "content_block": start}),
    ));
    if index == 0 {
        events.push(event(&json!({"type": "ping"})));
    }
    events.extend(deltas.map(|delta| {
        event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
    }));
    events.push(event(
        &json!({"type": "content_block_stop", "index": index}),
    ));
}

/// One server-sent event, named by the type of its data.
fn event(data: &Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

fn error_object(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// An error answer with the type that Anthropic gives the status.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    (status, Json(error_object(kind, message))).into_response()
}

/// What a stream carries when it fails after it has begun.
pub(super) fn error_event() -> Bytes {
    event(&error_object("overloaded_error", "Overloaded"))
}

/// The refusal of an account without money.
pub(super) fn quota() -> Response {
    let message = "Your credit balance is too low to access the API.";
    error(StatusCode::PAYMENT_REQUIRED, message)
}
