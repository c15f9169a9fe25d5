//! Limits and pace, as a client meets them.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Fixture, ask, start, streamed};

async fn set(fixture: &Fixture, path: &str, body: Value) -> StatusCode {
    fixture.post(path, &body).send().await.unwrap().status()
}

#[tokio::test]
async fn the_limiter_refuses_what_is_too_much_and_says_truly_when_to_come_back() {
    let fixture = start().await;
    // Two requests at once, then one each half second.
    let limits = json!({"requests_per_minute": 120, "burst_seconds": 1});
    assert_eq!(set(&fixture, "/admin/limits", limits).await, 200);
    let first = fixture.chat(&ask("one")).await;
    assert_eq!(first.headers()["x-ratelimit-limit-requests"], "120");
    assert_eq!(first.headers()["x-ratelimit-remaining-requests"], "1");
    assert_eq!(fixture.chat(&ask("two")).await.status(), 200);
    let refused = fixture.chat(&ask("three")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait = refused.headers()["retry-after-ms"].to_str().unwrap();
    tokio::time::sleep(Duration::from_millis(wait.parse().unwrap())).await;
    assert_eq!(fixture.chat(&ask("three")).await.status(), 200);

    let tokens = json!({"tokens_per_minute": 50});
    assert_eq!(set(&fixture, "/admin/limits", tokens).await, 200);
    let large = fixture.chat(&ask(&"long ".repeat(100))).await;
    assert_eq!(large.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(
        !large.headers().contains_key("retry-after"),
        "it never fits"
    );
    let senseless = json!({"requests_per_minute": 0});
    assert_eq!(set(&fixture, "/admin/limits", senseless).await, 422);
}

#[tokio::test]
async fn a_rate_of_tokens_spreads_the_stream_after_the_first_token() {
    let fixture = start().await;
    let pace = json!({"ms": 50, "tokens_per_second": {"uniform": [40, 60]}});
    assert_eq!(set(&fixture, "/admin/latency", pace).await, 200);
    let sent = Instant::now();
    let mut response = fixture.chat(&streamed(ask("a question to stream"))).await;
    response.chunk().await.unwrap().unwrap();
    let first = sent.elapsed();
    while response.chunk().await.unwrap().is_some() {}
    // About 15 tokens at about 50 a second.
    let whole = sent.elapsed();
    assert!(first >= Duration::from_millis(50), "{first:?}");
    assert!(
        whole - first >= Duration::from_millis(150),
        "{first:?} {whole:?}"
    );
}
