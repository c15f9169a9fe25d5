//! A provider with a log in a folder of its own, and a client that reads what OpenAI's clients read.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ark_loadtest::provider::{self, Config, Line, Running};
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const SEED: u64 = 7;

pub(crate) struct Fixture {
    pub(crate) running: Running,
    pub(crate) http: reqwest::Client,
    pub(crate) log: PathBuf,
    _folder: TempDir,
}

pub(crate) async fn start() -> Fixture {
    start_with_latency(Duration::ZERO).await
}

pub(crate) async fn start_with_latency(latency: Duration) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests.jsonl");
    let config = Config {
        seed: SEED,
        latency,
        log: Some(log.clone()),
        ..Config::default()
    };
    Fixture {
        running: provider::start(config).await.unwrap(),
        http: reqwest::Client::new(),
        log,
        _folder: folder,
    }
}

impl Fixture {
    /// Sends a request to a path below the provider's root.
    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.running.addr);
        self.http.post(url).json(body)
    }

    pub(crate) async fn chat(&self, body: &Value) -> Response {
        self.post("/v1/chat/completions", body)
            .send()
            .await
            .unwrap()
    }

    /// Waits until exactly `count` requests are in flight, at most 30 s.
    pub(crate) async fn wait_for_in_flight(&self, count: usize) {
        let url = format!("http://{}/admin/requests", self.running.addr);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let counts = self.http.get(&url).send().await.unwrap();
            let counts: Value = counts.json().await.unwrap();
            if counts["in_flight"] == count {
                return;
            }
            assert!(Instant::now() < deadline, "{counts}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        provider::read_log(&self.log).unwrap()
    }

    /// Waits until the log has `count` lines, at most 10 s.
    pub(crate) async fn wait_for_lines(&self, count: usize) -> Vec<Line> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let lines = self.lines();
            if lines.len() >= count {
                return lines;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} lines",
                lines.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A request with one user message.
pub(crate) fn ask(input: &str) -> Value {
    json!({"model": "gpt-test", "messages": [{"role": "user", "content": input}]})
}

pub(crate) fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// What a stream said, put together.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    pub(crate) deltas: usize,
    pub(crate) text: String,
    pub(crate) calls: Vec<Value>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) usage: Option<Value>,
    pub(crate) error: Option<Value>,
    pub(crate) done: bool,
}

pub(crate) fn assemble(body: &str) -> Streamed {
    let mut streamed = Streamed::default();
    for event in body.split_terminator("\n\n") {
        let data = event.strip_prefix("data: ").unwrap();
        assert!(!streamed.done, "nothing follows [DONE]");
        if data == "[DONE]" {
            streamed.done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if chunk["error"].is_object() {
            streamed.error = Some(chunk["error"].clone());
        } else if let Some(choice) = chunk["choices"].get(0) {
            assert_eq!(chunk["usage"], Value::Null);
            add_delta(&mut streamed, choice);
        } else {
            streamed.usage = Some(chunk["usage"].clone());
        }
    }
    streamed
}

fn add_delta(streamed: &mut Streamed, choice: &Value) {
    streamed.deltas += 1;
    let delta = &choice["delta"];
    streamed.text += delta["content"].as_str().unwrap_or_default();
    for part in delta["tool_calls"].as_array().into_iter().flatten() {
        let index = part["index"].as_u64().unwrap() as usize;
        if index == streamed.calls.len() {
            let mut call = part.clone();
            call.as_object_mut().unwrap().remove("index");
            streamed.calls.push(call);
        } else {
            let arguments = &mut streamed.calls[index]["function"]["arguments"];
            let more = part["function"]["arguments"].as_str().unwrap();
            *arguments = json!(arguments.as_str().unwrap().to_owned() + more);
        }
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        streamed.finish_reason = Some(reason.to_owned());
    }
}
