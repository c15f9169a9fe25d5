//! A request from its arrival to the answer that it gets.

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
use super::dialect::Dialect;
use super::faults::Fault;
use super::limits::Verdict;
use super::log::Entry;
use super::playback::{self, Ending, Playback};
use super::request::Request;
use super::retry_after::RetryAfter;
use super::script::{self, Reply};

const GARBAGE: &str = "{\"choices\": [{\"message\": <html>this is no JSON";

/// `POST /v1/chat/completions`
pub(super) async fn complete(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(
        provider,
        Dialect::OpenAi { deployment: None },
        &headers,
        &body,
    )
    .await
}

/// `POST /openai/deployments/{deployment}/chat/completions`: Azure names the model in the path.
pub(super) async fn complete_deployment(
    State(provider): State<Arc<Provider>>,
    Path(deployment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let deployment = Some(deployment);
    respond(provider, Dialect::OpenAi { deployment }, &headers, &body).await
}

/// `POST /v1/messages`
pub(super) async fn messages(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    respond(provider, Dialect::Anthropic, &headers, &body).await
}

/// `GET /v1/models`: any name is served, so that the list only shows the shape.
pub(super) async fn models() -> Json<Value> {
    let model = json!({"id": "mock", "object": "model", "created": 0, "owned_by": "ark"});
    Json(json!({"object": "list", "data": [model]}))
}

/// A request that is being answered.
struct Exchange {
    provider: Arc<Provider>,
    dialect: Dialect,
    request: Request,
    entry: Entry,
    arrived: Instant,
    /// What the limiter says beside any answer.
    limits: HeaderMap,
}

async fn respond(
    provider: Arc<Provider>,
    dialect: Dialect,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let arrived = Instant::now();
    let mut entry = provider.log.begin(headers);
    let request = match dialect.read(headers, body) {
        Ok(request) => request,
        Err((status, message)) => {
            entry.finish(status);
            return dialect.error(status, &message);
        }
    };
    entry.line.model.clone_from(&request.model);
    entry.line.prompt_hash.clone_from(&request.prompt_hash);
    let fault = provider.faults.take(&request);
    entry.line.fault = fault.map(Fault::name);
    let mut exchange = Exchange {
        provider,
        dialect,
        request,
        entry,
        arrived,
        limits: HeaderMap::new(),
    };
    if let Some(Fault::Status {
        status,
        retry_after,
    }) = fault
    {
        return exchange.refuse_by_fault(status, retry_after);
    }
    let mut reply = script::reply(exchange.provider.seed, &exchange.request);
    if let Some(refusal) = exchange.limit(&reply) {
        return refusal;
    }
    if let Some(usage) = &mut reply.usage {
        exchange.provider.cache.settle(&exchange.request, usage);
    }
    match fault {
        Some(Fault::Cut) => exchange.answer(&reply, Ending::Cut).await,
        Some(Fault::Stall) => exchange.answer(&reply, Ending::Stall).await,
        Some(Fault::NoUsage) => {
            reply.usage = None;
            exchange.answer(&reply, Ending::Complete).await
        }
        Some(Fault::Hang) => {
            exchange.provider.shutdown.cancelled().await;
            exchange.stopping()
        }
        Some(Fault::HangBody) => exchange.play(Vec::new(), Ending::Stall),
        Some(Fault::ErrorEvent) => exchange.error_event(&reply),
        Some(Fault::Quota) => {
            let quota = exchange.dialect.quota();
            exchange.refuse(quota)
        }
        Some(Fault::Garbage) => exchange.garbage(),
        None | Some(Fault::Status { .. }) => exchange.answer(&reply, Ending::Complete).await,
    }
}

impl Exchange {
    /// Passes the request through the limiter; a refusal is its answer.
    fn limit(&mut self, reply: &Reply) -> Option<Response> {
        let usage = reply.usage?;
        let bound = self.request.max_tokens.unwrap_or(usage.completion);
        let reserved = usage.prompt + bound.max(usage.completion);
        let used = usage.prompt + usage.completion;
        let limiter = &self.provider.limiter;
        let refused = |headers| {
            let message = "Rate limit reached for this model; please try again later.";
            (message, headers)
        };
        let (message, headers) =
            match limiter.admit(&self.dialect, &self.request.model, reserved, used) {
                Verdict::Admitted(reservation, headers) => {
                    self.entry.reservation = reservation;
                    self.limits = headers;
                    return None;
                }
                Verdict::Refused(headers) => refused(headers),
                Verdict::TooLarge => {
                    let message = "Request too large for this model's limit of tokens per minute.";
                    (message, HeaderMap::new())
                }
            };
        let mut response = self.dialect.error(StatusCode::TOO_MANY_REQUESTS, message);
        response.headers_mut().extend(headers);
        Some(self.refuse(response))
    }

    fn refuse(&mut self, response: Response) -> Response {
        self.entry.finish(response.status());
        response
    }

    /// An error status as a fault; a rate limit says that nothing is left.
    fn refuse_by_fault(&mut self, status: StatusCode, retry_after: Option<RetryAfter>) -> Response {
        let reason = status.canonical_reason().unwrap_or("Unknown status");
        let message = format!("{reason}: asked for by the test.");
        let mut response = self.dialect.error(status, &message);
        let headers = response.headers_mut();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let remaining = match self.dialect {
                Dialect::OpenAi { .. } => "x-ratelimit-remaining-requests",
                Dialect::Anthropic => "anthropic-ratelimit-requests-remaining",
            };
            headers.insert(remaining, HeaderValue::from(0));
        }
        if let Some(retry_after) = retry_after {
            retry_after.announce(headers);
        }
        self.refuse(response)
    }

    fn stopping(&mut self) -> Response {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let response = self.dialect.error(status, "The provider is being stopped.");
        self.refuse(response)
    }

    /// Answers when the first part is due.
    async fn answer(mut self, reply: &Reply, ending: Ending) -> Response {
        let tokens = reply.usage.map_or(0, |usage| usage.completion);
        let attempt = self.entry.line.attempt.unwrap_or(0).to_string();
        let seed = self.provider.seed.to_string();
        let key = [seed.as_str(), &self.request.prompt_hash, &attempt];
        let pace = self.provider.pace();
        let times = pace.times(self.request.stream, tokens, &key);
        let begin = self.arrived + times.begin;
        let at_once = times.begin.is_zero() && times.span.is_zero();
        if !at_once && !self.provider.wait_until(begin).await {
            return self.stopping();
        }
        let mut frames = if self.request.stream {
            self.dialect.events(&self.request, reply)
        } else {
            let whole = self.dialect.whole(&self.request, reply);
            vec![whole.to_string().into()]
        };
        let length = frames.iter().map(Bytes::len).sum();
        if ending != Ending::Complete {
            truncate(&mut frames);
        }
        let whole = (!self.request.stream).then_some(length);
        self.play_from(frames, ending, begin, times.span, whole)
    }

    /// Plays frames at once.
    fn play(self, frames: Vec<Bytes>, ending: Ending) -> Response {
        self.play_from(frames, ending, Instant::now(), Duration::ZERO, None)
    }

    fn play_from(
        self,
        frames: Vec<Bytes>,
        ending: Ending,
        begin: Instant,
        span: Duration,
        length: Option<usize>,
    ) -> Response {
        let playback = Playback {
            frames,
            ending,
            begin,
            span,
        };
        let body = playback::body(self.provider, playback, self.entry);
        let mut response = ok(self.request.stream, length, body);
        response.headers_mut().extend(self.limits);
        response
    }

    /// A stream that begins well and then carries an error object, as an overloaded provider sends it.
    fn error_event(mut self, reply: &Reply) -> Response {
        if !self.request.stream {
            return self.refuse_by_fault(StatusCode::INTERNAL_SERVER_ERROR, None);
        }
        let mut frames = self.dialect.events(&self.request, reply);
        truncate(&mut frames);
        frames.push(self.dialect.error_event());
        self.play(frames, Ending::Complete)
    }

    fn garbage(self) -> Response {
        let body = match (&self.dialect, self.request.stream) {
            (_, false) => GARBAGE.to_owned(),
            (Dialect::OpenAi { .. }, true) => format!("data: {GARBAGE}\n\ndata: [DONE]\n\n"),
            (Dialect::Anthropic, true) => format!("event: message_start\ndata: {GARBAGE}\n\n"),
        };
        self.play(vec![body.into()], Ending::Complete)
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

fn ok(stream: bool, length: Option<usize>, body: Body) -> Response {
    let content_type = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
