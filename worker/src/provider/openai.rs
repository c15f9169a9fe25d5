//! Chat completions of OpenAI and of the many servers that speak its protocol.

use ark_plan::{Class, ToolPlan};
use async_openai::types::chat::{
    ChatCompletionStreamOptions, ChatCompletionTool, ChatCompletionTools, FunctionObject,
    ResponseFormat, ResponseFormatJsonSchema,
};
use chrono::Utc;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::classify;
use super::endpoint::Endpoint;
use super::sse::SseReader;
use super::stream::Assembly;
use super::{Caller, Message, Reply, Request, Timeouts};
use crate::failure::Failure;

/// A reply that is not streamed, or an error's body, is read up to this size.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Properties that this layer decides itself.
const OURS: [&str; 7] = [
    "messages",
    "model",
    "stream",
    "stream_options",
    "tools",
    "n",
    "response_format",
];

/// Properties whose value is text even where it looks like a number.
const TEXT: [&str; 6] = [
    "user",
    "reasoning_effort",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "verbosity",
];

/// One streamed call, to its end.
pub(super) async fn complete(
    http: &reqwest::Client,
    timeouts: &Timeouts,
    endpoint: Endpoint,
    caller: Caller<'_>,
    request: Request<'_>,
) -> Result<Reply, Failure> {
    let clocks = Clocks::start(timeouts);
    let body = body(&endpoint.model, &endpoint.properties, request);
    let sending = http
        .post(endpoint.url)
        .headers(endpoint.headers)
        .headers(caller_headers(caller))
        .json(&body)
        .send();
    let response = timeout_at(clocks.first_token, sending)
        .await
        .map_err(|_| clocks.silent(false))?
        .map_err(|error| unreachable(&error))?;
    if !response.status().is_success() {
        return Err(refused(response, &clocks).await);
    }
    let json = header_contains(response.headers(), "json");
    if json {
        whole(response, &clocks, caller).await
    } else {
        streamed(response, clocks, caller).await
    }
}

/// The deadlines of one call.
struct Clocks {
    first_token: Instant,
    idle: std::time::Duration,
    total: Instant,
}

impl Clocks {
    fn start(timeouts: &Timeouts) -> Self {
        let now = Instant::now();
        let total = now + timeouts.total;
        Self {
            first_token: total.min(now + timeouts.first_token),
            idle: timeouts.idle,
            total,
        }
    }

    fn next(&self, answering: bool) -> Instant {
        if answering {
            self.total.min(Instant::now() + self.idle)
        } else {
            self.first_token
        }
    }

    fn silent(&self, answering: bool) -> Failure {
        let what = match (Instant::now() >= self.total, answering) {
            (true, _) => "did not finish its answer in time",
            (false, true) => "fell silent in the middle of its answer",
            (false, false) => "did not begin to answer in time",
        };
        Failure::new(Class::Unresponsive, format!("The provider {what}."))
    }
}

async fn streamed(
    mut response: Response,
    clocks: Clocks,
    caller: Caller<'_>,
) -> Result<Reply, Failure> {
    let mut reader = SseReader::default();
    let mut assembly = Assembly::new(caller.path);
    loop {
        let answering = assembly.answering();
        let chunk = match timeout_at(clocks.next(answering), response.chunk()).await {
            Err(_) => return Err(clocks.silent(answering)),
            Ok(Err(error)) => {
                tracing::debug!(execution = caller.execution, path = caller.path, %error, "the stream broke");
                return Err(cut());
            }
            Ok(Ok(chunk)) => chunk,
        };
        let ended = chunk.is_none();
        let events = match chunk {
            Some(bytes) => reader
                .push(&bytes)
                .map_err(|_| bad_reply("is larger than 64 MiB"))?,
            None => reader.rest().into_iter().collect(),
        };
        for event in events {
            if event == b"[DONE]" {
                return assembly.finish(true);
            }
            assembly.push(&event)?;
        }
        if ended {
            return assembly.finish(false);
        }
    }
}

async fn whole(response: Response, clocks: &Clocks, caller: Caller<'_>) -> Result<Reply, Failure> {
    let body = read_limited(response, clocks).await?;
    let mut assembly = Assembly::new(caller.path);
    assembly.push(&body)?;
    assembly.finish(true)
}

async fn refused(response: Response, clocks: &Clocks) -> Failure {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = read_limited(response, clocks).await.unwrap_or_default();
    tracing::debug!(status, body = %String::from_utf8_lossy(&body[..body.len().min(2048)]), "a provider refused");
    classify::refusal(status, &headers, &body, Utc::now())
}

async fn read_limited(mut response: Response, clocks: &Clocks) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match timeout_at(clocks.total.min(clocks.first_token), response.chunk()).await {
            Err(_) => return Err(clocks.silent(false)),
            Ok(Err(_)) => return Err(cut()),
            Ok(Ok(None)) => return Ok(body),
            Ok(Ok(Some(bytes))) if body.len() + bytes.len() > MAX_BODY_BYTES => {
                return Err(bad_reply("is larger than 16 MiB"));
            }
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
        }
    }
}

/// The request as the protocol has it; `properties` were coerced by [`set_property`].
fn body(model: &str, properties: &Map<String, Value>, request: Request<'_>) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert(
        "messages".into(),
        request.messages.iter().map(message).collect(),
    );
    body.insert("stream".into(), true.into());
    let options = ChatCompletionStreamOptions {
        include_usage: Some(true),
        include_obfuscation: None,
    };
    body.insert("stream_options".into(), plain(&options));
    body.insert("n".into(), 1.into());
    // Ark always sends a temperature; a property of that name overrides it.
    body.insert("temperature".into(), json!(1.0));
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    if let Some((name, schema)) = request.output_schema {
        body.insert("response_format".into(), response_format(name, schema));
    }
    for (name, value) in properties {
        body.insert(name.clone(), value.clone());
    }
    Value::Object(body)
}

fn message(message: &Message) -> Value {
    let mut value = plain(message);
    if let (
        Message::Assistant {
            content: None,
            tool_calls,
            ..
        },
        Some(object),
    ) = (message, value.as_object_mut())
        && tool_calls.is_empty()
    {
        object.insert("content".into(), "".into());
    }
    value
}

fn tool(tool: &ToolPlan) -> Value {
    plain(&ChatCompletionTools::Function(ChatCompletionTool {
        function: FunctionObject {
            name: tool.name.clone(),
            description: Some(tool.description.clone()).filter(|text| !text.is_empty()),
            parameters: Some(tool.input_schema.clone()),
            strict: None,
        },
    }))
}

fn response_format(name: &str, schema: &Value) -> Value {
    plain(&ResponseFormat::JsonSchema {
        json_schema: ResponseFormatJsonSchema {
            description: None,
            name: name.to_owned(),
            schema: schema.clone(),
            strict: Some(true),
        },
    })
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("requests are plain data")
}

/// Adds a Model's property: its text becomes the JSON value that it spells, except where the protocol wants text.
/// Empty ones and those that this layer decides itself are left out.
pub(super) fn set_property(properties: &mut Map<String, Value>, name: &str, text: &str) {
    if text.is_empty() || OURS.contains(&name) {
        return;
    }
    let value = match serde_json::from_str(text) {
        Ok(value) if !TEXT.contains(&name) => value,
        _ => Value::from(text),
    };
    properties.insert(name.to_owned(), value);
}

fn caller_headers(caller: Caller<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set("x-ark-execution", caller.execution);
    set("x-ark-path", caller.path);
    set("x-ark-attempt", &caller.attempt.to_string());
    set("accept", "text/event-stream");
    if let Some(trace) = caller.trace {
        set("traceparent", trace);
    }
    headers
}

fn header_contains(headers: &HeaderMap, part: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains(part))
}

fn unreachable(error: &reqwest::Error) -> Failure {
    // The error's text holds the address, which may come from a Secret.
    let what = if error.is_connect() || error.is_timeout() {
        "The provider cannot be reached; check baseUrl, the network and the certificate"
    } else {
        "The connection to the provider broke before it answered"
    };
    tracing::debug!(reason = ?std::error::Error::source(error), "a model call could not be sent");
    Failure::new(Class::Transport, format!("{what}."))
}

/// The stream ended or broke without a finish: what was received is discarded, never shown as an answer.
pub(super) fn cut() -> Failure {
    Failure::new(
        Class::Ambiguous,
        "The connection to the provider broke in the middle of the answer.",
    )
}

pub(super) fn bad_reply(what: &str) -> Failure {
    Failure::new(Class::BadReply, format!("The provider's reply {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_coerced() {
        let mut properties = Map::new();
        for (name, text) in [
            ("temperature", "0.2"),
            ("max_tokens", "10"),
            ("user", "7"),
            ("stop", "[\"a\"]"),
            ("model", "x"),
            ("seed", ""),
        ] {
            set_property(&mut properties, name, text);
        }
        assert_eq!(
            Value::Object(properties),
            json!({"temperature": 0.2, "max_tokens": 10, "user": "7", "stop": ["a"]})
        );
    }

    #[test]
    fn the_request_has_the_documented_form() {
        let tool = ToolPlan {
            namespace: "n".into(),
            name: "look".into(),
            description: String::new(),
            input_schema: json!({"type": "object"}),
            preset: Vec::new(),
            filters: Vec::new(),
            repeatable: true,
            call: ark_plan::ToolCall::Noop,
        };
        let messages = [
            Message::User {
                content: "hi".into(),
            },
            Message::Assistant {
                content: None,
                name: None,
                tool_calls: Vec::new(),
            },
        ];
        let schema = json!({"type": "object"});
        let request = Request {
            messages: &messages,
            tools: &[tool],
            output_schema: Some(("answer", &schema)),
        };
        assert_eq!(
            body("m", &Map::new(), request),
            json!({
                "model": "m", "n": 1, "stream": true, "stream_options": {"include_usage": true}, "temperature": 1.0,
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}],
                "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
                "response_format": {"type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
            })
        );
    }
}
