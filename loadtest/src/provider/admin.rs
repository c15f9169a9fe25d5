//! Changing a running provider, its latency and faults for the next requests, and asking how busy it is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::faults::Fault;
use super::{Provider, wire};

pub(super) fn router() -> Router<Arc<Provider>> {
    Router::new()
        .route("/admin/faults", get(pending).post(set_fault).delete(clear))
        .route("/admin/latency", post(set_latency))
        .route("/admin/requests", get(requests))
}

/// A fault for the next `count` requests: by `status`, or by the name that inputs use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextFaults {
    status: Option<u16>,
    fault: Option<String>,
    #[serde(default = "once")]
    count: u64,
    /// Seconds.
    retry_after: Option<u64>,
}

fn once() -> u64 {
    1
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

async fn set_fault(
    State(provider): State<Arc<Provider>>,
    Json(next): Json<NextFaults>,
) -> Response {
    let name = next.fault.or_else(|| Some(next.status?.to_string()));
    let Some(fault) = name.and_then(|name| Fault::named(&name, next.retry_after)) else {
        let message = "Give \"status\" (400 to 599), or \"fault\": quota, hang, stall, cut, garbage or error.";
        return wire::error(StatusCode::UNPROCESSABLE_ENTITY, message);
    };
    provider.faults.set(fault, next.count);
    pending(State(provider)).await
}

async fn clear(State(provider): State<Arc<Provider>>) -> Response {
    provider.faults.clear();
    pending(State(provider)).await
}

async fn pending(State(provider): State<Arc<Provider>>) -> Response {
    Json(json!({"pending": provider.faults.pending()})).into_response()
}

async fn set_latency(
    State(provider): State<Arc<Provider>>,
    Json(latency): Json<Latency>,
) -> Json<Latency> {
    provider.set_latency(Duration::from_millis(latency.ms));
    Json(latency)
}

async fn requests(State(provider): State<Arc<Provider>>) -> Response {
    let (in_flight, ended) = provider.log.counts();
    Json(json!({"in_flight": in_flight, "ended": ended})).into_response()
}
