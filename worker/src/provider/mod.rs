//! Model calls. The request and the reply are provider-neutral; this layer finds the address and the credential at the
//! last moment, waits for the scope's limits and for the lease, and sends.

mod address;
mod anthropic;
mod classify;
mod endpoint;
mod exchange;
mod openai;
mod overrides;
mod properties;
mod retry_after;
mod sse;
mod unreachable;

use std::time::{Duration, Instant};

use ark_api::admission::ModelUrlPolicy;
use ark_plan::{Input, ModelPlan, ToolPlan, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument;

use endpoint::Endpoint;
pub use overrides::Overrides;

use crate::failure::{Failure, Halt};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::secrets::Secrets;
use crate::trace;

/// Which providers are called.
#[derive(Debug, Clone)]
pub enum ProviderMode {
    /// The providers that the Models name.
    Auto,
    /// One address for every call; no credential is read.
    Mock {
        /// The base URL, to which `/messages` is added for Models of the provider `anthropic` and `/chat/completions`
        /// for all others.
        url: String,
    },
}

/// The clocks of one model call; the execution's deadline bounds them all.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From sending the request to the first token.
    pub first_token: Duration,
    /// Between two pieces of the stream.
    pub idle: Duration,
    /// The whole call.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(180),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(15 * 60),
        }
    }
}

/// A message in the provider-neutral OpenAI form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(crate) enum Message {
    System {
        content: String,
    },
    User {
        content: String,
    },
    Assistant {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
        /// What the model thought before, in the form of its protocol; nobody else sees it.
        #[serde(skip)]
        thoughts: Vec<Value>,
    },
    Tool {
        tool_call_id: String,
        content: String,
    },
}

/// A function that the model wants called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) function: FunctionCall,
}

impl ToolCall {
    fn function(id: String, name: String, arguments: String) -> Self {
        let kind = "function".to_owned();
        let function = FunctionCall { name, arguments };
        Self { id, kind, function }
    }
}

/// Name and arguments of a [`ToolCall`]; the arguments are JSON text as the model wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FunctionCall {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// What a model is asked.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Request<'a> {
    pub(crate) messages: &'a [Message],
    pub(crate) tools: &'a [ToolPlan],
    pub(crate) output_schema: Option<(&'a str, &'a Value)>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) text: Option<String>,
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Thoughts that the provider wants back while tools are called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) thoughts: Vec<Value>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
    /// The model that answered, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Finish {
    Stop,
    ToolCalls,
    /// The limit of its output.
    Length,
    /// The model refused, or the provider's content filter did.
    Refusal,
}

/// Who calls: the headers by which a provider's log can be joined with the queue and its traces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// `UID/ROUND`.
    pub(crate) execution: &'a str,
    pub(crate) path: &'a str,
    pub(crate) attempt: i32,
    /// W3C traceparent of the Query.
    pub(crate) trace: Option<&'a str>,
}

/// How calls are addressed and timed.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mode: ProviderMode,
    pub(crate) overrides: Overrides,
    pub(crate) url_policy: ModelUrlPolicy,
    pub(crate) timeouts: Timeouts,
}

/// The client of all model calls of one process.
pub(crate) struct Models {
    http: reqwest::Client,
    settings: Settings,
    secrets: Secrets,
    limits: Limits,
    metrics: Metrics,
}

impl Models {
    pub(crate) fn new(
        settings: Settings,
        secrets: Secrets,
        limits: Limits,
        metrics: Metrics,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(settings.timeouts.connect)
            // A redirect could carry the credential elsewhere, and a hidden retry would be an unrecorded call.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("ark-worker/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            settings,
            secrets,
            limits,
            metrics,
        })
    }

    /// Asks `model` once. Waits for the scope's limits, then reads the credential, then waits for `gate`, so that nothing
    /// is sent with an old key or after the lease may have ended.
    pub(crate) async fn call(
        &self,
        caller: Caller<'_>,
        model: &ModelPlan,
        input: &Input,
        request: Request<'_>,
        gate: &Gate,
    ) -> Result<Reply, Halt> {
        let _permit = self.limits.enter(model.scope, model.limits).await;
        let endpoint = match &self.settings.mode {
            ProviderMode::Auto => Endpoint::of(model, input, &self.secrets, &self.settings).await?,
            ProviderMode::Mock { url } => Endpoint::mock(url, model)?,
        };
        gate.open().await?;
        let span = trace::chat(endpoint.provider, &endpoint.model, caller.path);
        let result = self
            .exchange(endpoint, caller, request)
            .instrument(span.clone())
            .await;
        trace::replied(&span, &result);
        Ok(result?)
    }

    async fn exchange(
        &self,
        endpoint: Endpoint,
        caller: Caller<'_>,
        request: Request<'_>,
    ) -> Result<Reply, Failure> {
        let started = Instant::now();
        let (timeouts, metrics) = (&self.settings.timeouts, &self.metrics);
        let result =
            exchange::complete(&self.http, timeouts, endpoint, caller, request, metrics).await;
        let counted = result.as_ref().map(|reply| reply.usage);
        metrics.model_call(counted.map_err(|failure| failure.class), started.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_the_openai_form() {
        let message = Message::Assistant {
            content: Some("hi".into()),
            name: Some("a".into()),
            tool_calls: Vec::new(),
            thoughts: vec!["secret".into()],
        };
        assert_eq!(
            serde_json::to_value(&message).unwrap(),
            serde_json::json!({"role": "assistant", "content": "hi", "name": "a"})
        );
    }
}
