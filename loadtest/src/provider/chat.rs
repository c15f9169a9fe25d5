//! Chat completions: a request from its arrival to the answer that it gets.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Provider;
use super::faults::Fault;
use super::log::Entry;
use super::playback::{self, Ending, Playback};
use super::request::Request;
use super::{script, wire};

const GARBAGE: &str = "{\"choices\": [{\"message\": <html>this is no JSON";

/// `POST /v1/chat/completions`
pub(super) async fn complete(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(provider, None, &headers, &body).await
}

/// `POST /openai/deployments/{deployment}/chat/completions`: Azure names the model in the path.
pub(super) async fn complete_deployment(
    State(provider): State<Arc<Provider>>,
    Path(deployment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(provider, Some(deployment), &headers, &body).await
}

/// `GET /v1/models`: any name is served, so that the list only shows the shape.
pub(super) async fn models() -> Json<Value> {
    let model = json!({"id": "mock", "object": "model", "created": 0, "owned_by": "ark"});
    Json(json!({"object": "list", "data": [model]}))
}

async fn respond(
    provider: Arc<Provider>,
    deployment: Option<String>,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let arrived = Instant::now();
    let mut entry = provider.log.begin(headers);
    let request = match Request::parse(body, deployment) {
        Ok(request) => request,
        Err(message) => {
            entry.finish(StatusCode::BAD_REQUEST);
            return wire::error(StatusCode::BAD_REQUEST, &message);
        }
    };
    entry.line.model.clone_from(&request.model);
    entry.line.prompt_hash.clone_from(&request.prompt_hash);
    let fault = provider.faults.take(&request);
    entry.line.fault = fault.map(Fault::name);
    match fault {
        None => answer(provider, &request, entry, arrived, Ending::Complete).await,
        Some(Fault::Cut) => answer(provider, &request, entry, arrived, Ending::Cut).await,
        Some(Fault::Stall) => answer(provider, &request, entry, arrived, Ending::Stall).await,
        Some(Fault::Hang) => {
            provider.shutdown.cancelled().await;
            stopping(&mut entry)
        }
        Some(Fault::ErrorEvent) if request.stream => error_event(provider, &request, entry),
        Some(Fault::ErrorEvent) => refuse(
            &mut entry,
            wire::fault(StatusCode::INTERNAL_SERVER_ERROR, None),
        ),
        Some(Fault::Quota) => refuse(&mut entry, wire::quota()),
        Some(Fault::Garbage) => refuse(&mut entry, garbage(&request)),
        Some(Fault::Status {
            status,
            retry_after,
        }) => refuse(&mut entry, wire::fault(status, retry_after)),
    }
}

fn refuse(entry: &mut Entry, response: Response) -> Response {
    entry.finish(response.status());
    response
}

fn stopping(entry: &mut Entry) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    refuse(entry, wire::error(status, "The provider is being stopped."))
}

/// Answers after the latency; a stream begins after half of it and spreads over the other half.
async fn answer(
    provider: Arc<Provider>,
    request: &Request,
    mut entry: Entry,
    arrived: Instant,
    ending: Ending,
) -> Response {
    let latency = provider.latency();
    let span = if request.stream {
        latency / 2
    } else {
        Duration::ZERO
    };
    let begin = arrived + (latency - span);
    if !latency.is_zero() && !provider.wait_until(begin).await {
        return stopping(&mut entry);
    }
    let reply = script::reply(provider.seed, request);
    let mut frames = if request.stream {
        wire::events(request, &reply)
    } else {
        vec![wire::completion(request, &reply).to_string().into()]
    };
    let length = frames.iter().map(Bytes::len).sum();
    if ending != Ending::Complete {
        truncate(&mut frames);
    }
    let playback = Playback {
        frames,
        ending,
        begin,
        span,
    };
    let body = playback::body(provider, playback, entry);
    if request.stream {
        ok("text/event-stream", None, body)
    } else {
        ok("application/json", Some(length), body)
    }
}

/// Keeps the first half: of the frames if there are several, else of the one frame's bytes.
fn truncate(frames: &mut Vec<Bytes>) {
    match &mut frames[..] {
        [only] => only.truncate(only.len() / 2),
        several => {
            let half = several.len() / 2;
            frames.truncate(half);
        }
    }
}

/// A stream that begins well and then carries an error object, as an overloaded provider sends it.
fn error_event(provider: Arc<Provider>, request: &Request, entry: Entry) -> Response {
    let mut frames = wire::events(request, &script::reply(provider.seed, request));
    truncate(&mut frames);
    let message = "The server had an error while processing your request.";
    frames.push(wire::event(&wire::error_object(
        "server_error",
        None,
        message,
    )));
    let playback = Playback {
        frames,
        ending: Ending::Complete,
        begin: Instant::now(),
        span: Duration::ZERO,
    };
    ok(
        "text/event-stream",
        None,
        playback::body(provider, playback, entry),
    )
}

fn garbage(request: &Request) -> Response {
    if request.stream {
        let body = format!("data: {GARBAGE}\n\ndata: [DONE]\n\n");
        ok("text/event-stream", None, body.into())
    } else {
        ok("application/json", None, GARBAGE.into())
    }
}

fn ok(content_type: &'static str, length: Option<usize>, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
