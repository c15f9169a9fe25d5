//! The request log, disconnects and many requests at once.

use std::time::{Duration, Instant};

use ark_loadtest::provider::{Status, prompt_hash};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{ask, start, start_with_latency, streamed};

const HANGING: usize = 1_000;

#[tokio::test]
async fn a_line_says_what_was_asked_by_whom_and_when() {
    let latency = Duration::from_millis(80);
    let fixture = start_with_latency(latency).await;
    let body = ask("hello");
    let request = fixture.post("/v1/chat/completions", &streamed(body.clone()));
    let request = request
        .header("X-Ark-Execution", "0b1c/0")
        .header("X-Ark-Path", "turn.1")
        .header("X-Ark-Attempt", "2");
    request.send().await.unwrap().text().await.unwrap();

    // Whoever has read the answer to its end finds it in the log.
    let raw = std::fs::read_to_string(&fixture.log).unwrap();
    let line: Value = serde_json::from_str(raw.trim_end()).unwrap();
    assert_eq!(line["model"], "gpt-test");
    assert_eq!(line["prompt_hash"], prompt_hash(&body["messages"]));
    assert_eq!(line["status"], 200);
    assert_eq!(line["execution"], "0b1c/0");
    assert_eq!(line["path"], "turn.1");
    assert_eq!(line["attempt"], 2);
    let fraction = line["start"].as_str().unwrap().split_once('.').unwrap().1;
    assert_eq!(fraction.len(), "123456Z".len());
    let line = &fixture.lines()[0];
    assert!((line.end - line.start).to_std().unwrap() >= latency);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_stream_is_logged_as_aborted() {
    let fixture = start().await;
    fixture
        .post("/admin/latency", &json!({"ms": 2_000}))
        .send()
        .await
        .unwrap();
    let mut response = fixture
        .chat(&streamed(ask("a longer text to stream")))
        .await;
    response.chunk().await.unwrap().expect("the first delta");
    drop(response);
    let line = fixture.wait_for_lines(1).await.remove(0);
    assert_eq!(line.status, Status::Aborted);
    assert!((line.end - line.start).num_milliseconds() < 1_900);
}

#[tokio::test]
async fn a_thousand_hanging_requests_leave_the_provider_quick_and_end_when_it_stops() {
    let fixture = start().await;
    let mut hanging = JoinSet::new();
    for index in 0..HANGING {
        let body = ask(&format!("fault=hang query {index}"));
        hanging.spawn(fixture.post("/v1/chat/completions", &body).send());
    }
    fixture.wait_for_in_flight(HANGING).await;
    let beside = Instant::now();
    fixture
        .chat(&ask("not hanging"))
        .await
        .text()
        .await
        .unwrap();
    assert!(beside.elapsed() < Duration::from_secs(5));

    fixture.running.stop().await;
    let lines = ark_loadtest::provider::read_log(&fixture.log).unwrap();
    let cut = lines.iter().filter(|line| line.status == Status::Code(503));
    assert_eq!((lines.len(), cut.count()), (HANGING + 1, HANGING));
    while let Some(ended) = hanging.join_next().await {
        assert_eq!(ended.unwrap().unwrap().status(), 503);
    }
}
