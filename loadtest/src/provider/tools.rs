//! HTTP tools for agents under test, logged like model calls with the path `tool`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::log::Entry;
use super::script::digest;
use super::{Provider, openai};

type Parameters = Query<HashMap<String, String>>;

pub(super) fn router() -> Router<Arc<Provider>> {
    Router::new()
        .route("/weather", get(weather))
        .route("/echo", post(echo))
        .route("/fail", get(fail).post(fail))
        .route("/slow", get(slow).post(slow))
}

fn begin(provider: &Provider, headers: &HeaderMap, tool: &str) -> Entry {
    let mut entry = provider.log.begin(headers);
    entry.line.model = format!("/tools/{tool}");
    entry.line.path = Some("tool".to_owned());
    entry
}

/// `GET /tools/weather?city=X`: made up, but always the same for a city.
async fn weather(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Response {
    const CONDITIONS: [&str; 4] = ["sunny", "cloudy", "rain", "snow"];
    let mut entry = begin(&provider, &headers, "weather");
    let city = parameters.get("city").map_or("", String::as_str);
    let bytes = digest(&["weather", &provider.seed.to_string(), city]);
    entry.finish(StatusCode::OK);
    let report = json!({
        "city": city,
        "conditions": CONDITIONS[usize::from(bytes[0]) % CONDITIONS.len()],
        "temperature_celsius": i32::from(bytes[1] % 45) - 10,
        "humidity_percent": bytes[2] % 101,
    });
    Json(report).into_response()
}

/// `POST /tools/echo`: the request's body and content type.
async fn echo(State(provider): State<Arc<Provider>>, headers: HeaderMap, body: Bytes) -> Response {
    begin(&provider, &headers, "echo").finish(StatusCode::OK);
    let mut response = body.into_response();
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type.clone());
    }
    response
}

/// `/tools/fail`: 500, always.
async fn fail(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    begin(&provider, &headers, "fail").finish(status);
    (status, Json(json!({"error": "this tool always fails"}))).into_response()
}

/// `/tools/slow?ms=N`: answers after so many milliseconds.
async fn slow(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Response {
    let mut entry = begin(&provider, &headers, "slow");
    let asked = parameters.get("ms").map(|ms| ms.parse::<u32>());
    let Some(Ok(ms)) = asked else {
        entry.finish(StatusCode::BAD_REQUEST);
        return openai::error(
            StatusCode::BAD_REQUEST,
            "Give ms, a number of milliseconds.",
        );
    };
    let due = Instant::now() + Duration::from_millis(ms.into());
    if !provider.wait_until(due).await {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        entry.finish(status);
        return openai::error(status, "The provider is being stopped.");
    }
    entry.finish(StatusCode::OK);
    Json(json!({"waited_ms": ms})).into_response()
}
