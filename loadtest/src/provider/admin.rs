//! Changing a running provider, its faults, pace and limits, and asking how busy it is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::faults::Fault;
use super::limits::Limits;
use super::pace::Pace;
use super::retry_after::{Form, RetryAfter};
use super::{Provider, openai};

pub(super) fn router() -> Router<Arc<Provider>> {
    Router::new()
        .route("/admin/faults", get(pending).post(set_fault).delete(clear))
        .route("/admin/latency", get(latency).post(set_latency))
        .route(
            "/admin/limits",
            get(limits).post(set_limits).delete(clear_limits),
        )
        .route("/admin/requests", get(requests))
}

/// A fault by `status`, or by the name that inputs use: for the next `count` requests, or for a `share` of all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    status: Option<u16>,
    fault: Option<String>,
    #[serde(default = "once")]
    count: u64,
    share: Option<f64>,
    /// Seconds.
    retry_after: Option<f64>,
    retry_form: Option<String>,
}

fn once() -> u64 {
    1
}

impl NewFault {
    fn read(&self) -> Result<Fault, &'static str> {
        const UNKNOWN: &str = "Give \"status\" (400 to 599), or \"fault\": quota, hang, hang-body, stall, cut, garbage, no-usage or error.";
        let form = self.retry_form.as_deref();
        let form = form.map(|form| {
            let unknown = "\"retry_form\" is seconds, date, ms, openai, anthropic or none.";
            Form::named(form).ok_or(unknown)
        });
        let form = form.transpose()?;
        let wait = self.retry_after.map(Duration::try_from_secs_f64);
        let wait = wait.transpose();
        let wait = wait.map_err(|_| "\"retry_after\" is a number of seconds.")?;
        let retry_after = (wait.is_some() || form.is_some()).then(|| RetryAfter {
            wait: wait.unwrap_or(Duration::from_secs(1)),
            form: form.unwrap_or_default(),
        });
        if self
            .share
            .is_some_and(|share| !(0.0..=1.0).contains(&share))
        {
            return Err("\"share\" is a number from 0 to 1.");
        }
        let name = self.fault.clone();
        let name = name.or_else(|| Some(self.status?.to_string()));
        name.and_then(|name| Fault::named(&name, retry_after))
            .ok_or(UNKNOWN)
    }
}

async fn set_fault(State(provider): State<Arc<Provider>>, Json(new): Json<NewFault>) -> Response {
    let fault = match new.read() {
        Ok(fault) => fault,
        Err(problem) => return unprocessable(problem),
    };
    match new.share {
        Some(share) => provider.faults.set_standing(fault, share),
        None => provider.faults.set(fault, new.count),
    }
    pending(State(provider)).await
}

fn unprocessable(problem: &str) -> Response {
    openai::error(StatusCode::UNPROCESSABLE_ENTITY, problem)
}

async fn clear(State(provider): State<Arc<Provider>>) -> Response {
    provider.faults.clear();
    pending(State(provider)).await
}

async fn pending(State(provider): State<Arc<Provider>>) -> Response {
    Json(json!({"pending": provider.faults.pending()})).into_response()
}

async fn latency(State(provider): State<Arc<Provider>>) -> Json<Pace> {
    Json(provider.pace())
}

async fn set_latency(State(provider): State<Arc<Provider>>, Json(pace): Json<Pace>) -> Response {
    if let Some(problem) = pace.problem() {
        return unprocessable(problem);
    }
    provider.set_pace(pace);
    Json(pace).into_response()
}

async fn limits(State(provider): State<Arc<Provider>>) -> Json<Limits> {
    Json(provider.limiter.limits())
}

async fn set_limits(State(provider): State<Arc<Provider>>, Json(new): Json<Limits>) -> Response {
    if let Some(problem) = new.problem() {
        return unprocessable(problem);
    }
    provider.limiter.set(new);
    Json(new).into_response()
}

async fn clear_limits(State(provider): State<Arc<Provider>>) -> Json<Limits> {
    provider.limiter.set(Limits::default());
    limits(State(provider)).await
}

async fn requests(State(provider): State<Arc<Provider>>) -> Response {
    let (in_flight, ended) = provider.log.counts();
    Json(json!({"in_flight": in_flight, "ended": ended})).into_response()
}
