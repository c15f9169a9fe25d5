//! One call over HTTP, whatever the protocol: the request out, the clocks, the reply in pieces or whole.

use std::time::Duration;

use ark_plan::Class;
use chrono::Utc;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::endpoint::{Endpoint, Protocol};
use super::sse::SseReader;
use super::{Caller, Reply, Request, Timeouts};
use super::{anthropic, classify, openai};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::trace;

/// A reply that is not streamed, or an error's body, is read up to this size.
const MAX_BODY_BYTES: usize = 16 << 20;

/// One streamed call, to its end.
pub(super) async fn complete(
    http: &reqwest::Client,
    timeouts: &Timeouts,
    endpoint: Endpoint,
    caller: Caller<'_>,
    request: Request<'_>,
    metrics: &Metrics,
) -> Result<Reply, Failure> {
    let clocks = Clocks::start(timeouts);
    let (body, assembly) = match endpoint.protocol {
        Protocol::OpenAi => (
            openai::body(&endpoint.model, &endpoint.properties, request),
            Assembly::OpenAi(openai::Assembly::new(caller.path)),
        ),
        Protocol::Anthropic => (
            anthropic::body(&endpoint.model, &endpoint.properties, request),
            Assembly::Anthropic(anthropic::Assembly::new(caller.path)),
        ),
    };
    let sending = http
        .post(endpoint.url)
        .headers(endpoint.headers)
        .headers(caller_headers(caller))
        .json(&body)
        .send();
    let response = timeout_at(clocks.first_token, sending)
        .await
        .map_err(|_| clocks.silent(false))?
        .map_err(|error| endpoint.callee.unreachable(&error))?;
    if !response.status().is_success() {
        return Err(refused(response, &clocks).await);
    }
    if header_contains(response.headers(), "json") {
        whole(response, &clocks, assembly).await
    } else {
        streamed(response, clocks, caller, assembly, metrics).await
    }
}

/// A reply while it arrives, in the protocol of its server.
enum Assembly<'a> {
    OpenAi(openai::Assembly<'a>),
    Anthropic(anthropic::Assembly<'a>),
}

impl Assembly<'_> {
    fn answering(&self) -> bool {
        match self {
            Assembly::OpenAi(assembly) => assembly.answering(),
            Assembly::Anthropic(assembly) => assembly.answering(),
        }
    }

    /// Takes the data of one event, or a whole reply that was not streamed; true after the protocol's end mark.
    fn push(&mut self, data: &[u8]) -> Result<bool, Failure> {
        match self {
            Assembly::OpenAi(assembly) => assembly.push(data),
            Assembly::Anthropic(assembly) => assembly.push(data),
        }
    }

    /// The reply, when the stream has ended; `marked`: by its own end mark and not by a closed connection.
    fn finish(self, marked: bool) -> Result<Reply, Failure> {
        match self {
            Assembly::OpenAi(assembly) => assembly.finish(marked),
            Assembly::Anthropic(assembly) => assembly.finish(marked),
        }
    }
}

/// The deadlines of one call.
struct Clocks {
    started: Instant,
    first_token: Instant,
    idle: Duration,
    total: Instant,
}

impl Clocks {
    fn start(timeouts: &Timeouts) -> Self {
        let started = Instant::now();
        let total = started + timeouts.total;
        Self {
            started,
            first_token: total.min(started + timeouts.first_token),
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
    mut assembly: Assembly<'_>,
    metrics: &Metrics,
) -> Result<Reply, Failure> {
    let mut reader = SseReader::default();
    let mut answering = false;
    loop {
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
            let marked = assembly.push(&event)?;
            if !answering && assembly.answering() {
                answering = true;
                metrics.first_token(clocks.started.elapsed());
            }
            if marked {
                return assembly.finish(true);
            }
        }
        if ended {
            return assembly.finish(false);
        }
    }
}

async fn whole(
    response: Response,
    clocks: &Clocks,
    mut assembly: Assembly<'_>,
) -> Result<Reply, Failure> {
    let body = read_limited(response, clocks).await?;
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
    if let Some(trace) = trace::outgoing(caller.trace) {
        set("traceparent", &trace);
    }
    headers
}

fn header_contains(headers: &HeaderMap, part: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains(part))
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

/// What is left of a content filter's work when it leaves no text.
pub(super) fn filtered() -> Failure {
    Failure::new(
        Class::Rejected,
        "The provider's content filter stopped the answer.",
    )
}
