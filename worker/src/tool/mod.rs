//! Tool calls. A tool's own failure goes back to the model as its result; only what a model cannot mend ends the run.

mod arguments;
mod filter;
mod http;
mod meter;

use std::time::Instant;

use ark_plan::{ToolCall, ToolPlan};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::Instrument;

use crate::failure::Halt;
use crate::metrics::Metrics;
use crate::scene::Scene;
use crate::steps::{request_hash, unreadable};
use crate::trace;

/// What a tool returned, as it is committed and given to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolResult {
    /// Its result.
    Text(String),
    /// What went wrong, in words for the model.
    Error(String),
    /// The answer with which the run is to end.
    Terminate(String),
}

impl ToolResult {
    /// The text of the tool message.
    pub(crate) fn content(&self) -> &str {
        match self {
            ToolResult::Text(text) | ToolResult::Error(text) | ToolResult::Terminate(text) => text,
        }
    }
}

/// The clients of all tool calls of one process.
pub(crate) struct Tools {
    http: http::Clients,
    metrics: Metrics,
}

impl Tools {
    pub(crate) fn new(metrics: Metrics) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: http::Clients::new()?,
            metrics,
        })
    }
}

/// Calls `tool` with the arguments as the model wrote them under `id`; replayed if its result was committed.
pub(crate) async fn call(
    scene: &Scene<'_>,
    path: &str,
    tool: &ToolPlan,
    id: Option<&str>,
    arguments: &str,
) -> Result<ToolResult, Halt> {
    let hash = request_hash(&(tool, arguments));
    if let Some(body) = scene.journal.replay(path, hash).await? {
        return serde_json::from_str(&body).map_err(|_| unreadable(path).into());
    }
    let span = trace::execute_tool(tool, path, id);
    let result = make(scene, path, tool, hash, arguments)
        .instrument(span.clone())
        .await;
    match &result {
        Ok(ToolResult::Error(_)) => trace::failed(&span, "tool_error"),
        Err(Halt::Failed(failure)) => trace::failed(&span, failure.class.as_str()),
        _ => {}
    }
    drop(span);
    let result = result?;
    let body = serde_json::to_string(&result).expect("a result is plain data");
    scene.journal.result(path, hash, body).await?;
    Ok(result)
}

async fn make(
    scene: &Scene<'_>,
    path: &str,
    tool: &ToolPlan,
    hash: [u8; 32],
    arguments: &str,
) -> Result<ToolResult, Halt> {
    match arguments::parse(arguments) {
        Ok(given) => {
            let arguments = arguments::with_presets(scene, tool, given).await?;
            let started = Instant::now();
            let result = run(scene, path, tool, hash, &arguments).await?;
            let label = if matches!(result, ToolResult::Error(_)) {
                "error"
            } else {
                "ok"
            };
            scene.tools.metrics.tool_call(label, started.elapsed());
            filtered(tool, result).await
        }
        Err(why) => Ok(ToolResult::Error(why)),
    }
}

async fn run(
    scene: &Scene<'_>,
    path: &str,
    tool: &ToolPlan,
    hash: [u8; 32],
    arguments: &Map<String, Value>,
) -> Result<ToolResult, Halt> {
    match &tool.call {
        ToolCall::Noop => Ok(ToolResult::Text(
            Value::Object(arguments.clone()).to_string(),
        )),
        ToolCall::Terminate => Ok(match arguments.get("response") {
            Some(Value::String(response)) => ToolResult::Terminate(response.clone()),
            Some(other) => ToolResult::Terminate(other.to_string()),
            None => ToolResult::Error("the argument \"response\" is missing".to_owned()),
        }),
        ToolCall::Http { .. } => {
            let request = http::prepare(scene, path, tool, arguments).await?;
            scene.gate.open().await?;
            if !tool.repeatable {
                scene.journal.started(path, hash).await?;
                // The commit may have waited for the database longer than the lease.
                scene.gate.open().await?;
            }
            Ok(match request {
                Ok(request) => http::send(&scene.tools.http, request).await,
                Err(why) => ToolResult::Error(why),
            })
        }
    }
}

async fn filtered(tool: &ToolPlan, result: ToolResult) -> Result<ToolResult, Halt> {
    match result {
        ToolResult::Text(text) if !tool.filters.is_empty() => Ok(ToolResult::Text(
            filter::apply(&tool.name, &tool.filters, text).await?,
        )),
        result => Ok(result),
    }
}
