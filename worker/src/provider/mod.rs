//! Model calls. The request and the reply are provider-neutral; this layer finds the address and the credential at the
//! last moment, waits for the scope's limits and for the lease, and sends.

mod classify;
mod openai;
mod sse;
mod stream;

use std::time::{Duration, Instant};

use ark_plan::{Class, Input, ModelPlan, Parameter, ToolPlan, Usage};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::failure::{Failure, Halt};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::secrets::Secrets;

/// Which providers are called.
#[derive(Debug, Clone)]
pub enum ProviderMode {
    /// The providers that the Models name.
    Auto,
    /// One OpenAI-compatible address for every call; no credential is read.
    Mock {
        /// The base URL, to which `/chat/completions` is added.
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
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Finish {
    Stop,
    ToolCalls,
    Length,
    ContentFilter,
}

/// Who calls: the three headers by which a provider's log can be joined with the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// `UID/ROUND`.
    pub(crate) execution: &'a str,
    pub(crate) path: &'a str,
    pub(crate) attempt: i32,
}

/// The client of all model calls of one process.
pub(crate) struct Models {
    http: reqwest::Client,
    mode: ProviderMode,
    timeouts: Timeouts,
    secrets: Secrets,
    limits: Limits,
    metrics: Metrics,
}

/// Where one call goes and what it carries; holds credentials, therefore no `Debug`.
struct Endpoint {
    url: Url,
    model: String,
    headers: HeaderMap,
    properties: Map<String, Value>,
}

impl Models {
    pub(crate) fn new(
        mode: ProviderMode,
        timeouts: Timeouts,
        secrets: Secrets,
        limits: Limits,
        metrics: Metrics,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            // A redirect could carry the credential elsewhere, and a hidden retry would be an unrecorded call.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("ark-worker/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            mode,
            timeouts,
            secrets,
            limits,
            metrics,
        })
    }

    /// Asks `model` once. Waits for the scope's limits first and then for `gate`, so that nothing is sent after the lease
    /// may have ended.
    pub(crate) async fn call(
        &self,
        caller: Caller<'_>,
        model: &ModelPlan,
        input: &Input,
        request: Request<'_>,
        gate: &Gate,
    ) -> Result<Reply, Halt> {
        let endpoint = self.endpoint(model, input).await?;
        let _permit = self.limits.enter(model.scope, model.limits).await;
        gate.open().await?;
        let started = Instant::now();
        let result = openai::complete(&self.http, &self.timeouts, endpoint, caller, request).await;
        self.metrics.model_call(
            result
                .as_ref()
                .map(|reply| reply.usage)
                .map_err(|f| f.class),
            started.elapsed(),
        );
        Ok(result?)
    }

    async fn endpoint(&self, model: &ModelPlan, input: &Input) -> Result<Endpoint, Failure> {
        if let ProviderMode::Mock { url } = &self.mode {
            return mock_endpoint(url, model);
        }
        let name = self.secrets.value(&model.model, input).await?;
        let base = self.secrets.value(&model.base_url, input).await?;
        let mut headers = HeaderMap::new();
        let url = match model.provider.as_str() {
            "openai" => {
                if let Some(key) = self.api_key(model, input).await? {
                    headers.insert(
                        AUTHORIZATION,
                        header_value(model, "apiKey", &format!("Bearer {key}"))?,
                    );
                }
                address(model, base.expose(), &["chat", "completions"])?
            }
            "azure" => {
                let key = self
                    .api_key(model, input)
                    .await?
                    .ok_or_else(|| azure_needs_a_key(model))?;
                headers.insert("api-key", header_value(model, "apiKey", &key)?);
                let path = [
                    "openai",
                    "deployments",
                    name.expose(),
                    "chat",
                    "completions",
                ];
                let mut url = address(model, base.expose(), &path)?;
                let version = match &model.api_version {
                    Some(source) => self.secrets.value(source, input).await?.expose().to_owned(),
                    None => "2024-10-21".to_owned(),
                };
                url.query_pairs_mut().append_pair("api-version", &version);
                url
            }
            other => return Err(unsupported(model, other)),
        };
        // The Query's own overrides come last and win.
        for header in model.headers.iter().chain(&input.model_headers) {
            let value = self.secrets.value(&header.value, input).await?;
            headers.insert(
                header_name(model, &header.name)?,
                header_value(model, &header.name, value.expose())?,
            );
        }
        let properties = self.properties(&model.properties, input).await?;
        Ok(Endpoint {
            url,
            model: name.expose().to_owned(),
            headers,
            properties,
        })
    }

    async fn api_key(&self, model: &ModelPlan, input: &Input) -> Result<Option<String>, Failure> {
        let Some(source) = &model.api_key else {
            return Ok(None);
        };
        let key = self.secrets.value(source, input).await?;
        Ok(Some(key.expose().trim().to_owned()).filter(|key| !key.is_empty()))
    }

    async fn properties(
        &self,
        properties: &[Parameter],
        input: &Input,
    ) -> Result<Map<String, Value>, Failure> {
        let mut resolved = Map::new();
        for property in properties {
            let value = self.secrets.value(&property.value, input).await?;
            openai::set_property(&mut resolved, &property.name, value.expose());
        }
        Ok(resolved)
    }
}

/// Everything goes to the mock; only literals are used, so that a missing Secret does not matter.
fn mock_endpoint(url: &str, model: &ModelPlan) -> Result<Endpoint, Failure> {
    let literal = |source: &ark_plan::Source| match source {
        ark_plan::Source::Literal(text) => Some(text.clone()),
        _ => None,
    };
    let mut properties = Map::new();
    for property in &model.properties {
        if let Some(text) = literal(&property.value) {
            openai::set_property(&mut properties, &property.name, &text);
        }
    }
    Ok(Endpoint {
        url: address(model, url, &["chat", "completions"])?,
        model: literal(&model.model).unwrap_or_else(|| model.name.clone()),
        headers: HeaderMap::new(),
        properties,
    })
}

fn address(model: &ModelPlan, base: &str, path: &[&str]) -> Result<Url, Failure> {
    let mut url = Url::parse(base.trim()).map_err(|_| unusable(model, "baseUrl is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable(
            model,
            "baseUrl must begin with https:// or http://",
        ));
    }
    url.path_segments_mut()
        .map_err(|()| unusable(model, "baseUrl cannot carry a path"))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

fn header_name(model: &ModelPlan, name: &str) -> Result<HeaderName, Failure> {
    HeaderName::try_from(name)
        .map_err(|_| unusable(model, &format!("{name:?} is not a header name")))
}

fn header_value(model: &ModelPlan, name: &str, value: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        unusable(
            model,
            &format!("the value of {name} cannot stand in a header"),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(model: &ModelPlan, why: &str) -> Failure {
    Failure::new(
        Class::Configuration,
        format!("Model {}/{}: {why}.", model.namespace, model.name),
    )
}

fn azure_needs_a_key(model: &ModelPlan) -> Failure {
    let name = format!("{}/{}", model.namespace, model.name);
    Failure::new(
        Class::Unsupported,
        format!(
            "Model {name}: azure is called with an apiKey only; managed and workload identity are not supported yet."
        ),
    )
}

fn unsupported(model: &ModelPlan, provider: &str) -> Failure {
    let name = format!("{}/{}", model.namespace, model.name);
    Failure::new(
        Class::Unsupported,
        format!("Model {name}: the provider {provider} is not supported yet; use openai or azure."),
    )
}

#[cfg(test)]
mod tests {
    use ark_plan::Source;

    use super::*;

    fn model() -> ModelPlan {
        let secret = Source::Secret {
            namespace: "n".into(),
            name: "s".into(),
            key: "k".into(),
        };
        ModelPlan {
            namespace: "n".into(),
            name: "m".into(),
            provider: "anthropic".into(),
            model: secret.clone(),
            base_url: Source::Literal("https://example.com".into()),
            api_key: Some(secret.clone()),
            api_version: None,
            headers: Vec::new(),
            properties: vec![
                Parameter {
                    name: "temperature".into(),
                    value: Source::Literal("0.5".into()),
                },
                Parameter {
                    name: "user".into(),
                    value: secret,
                },
            ],
            limits: ark_plan::Limits::default(),
            scope: 1,
        }
    }

    #[test]
    fn the_mock_needs_no_secret() {
        let endpoint = mock_endpoint("http://127.0.0.1:1/v1/", &model()).unwrap();
        assert_eq!(
            endpoint.url.as_str(),
            "http://127.0.0.1:1/v1/chat/completions"
        );
        assert_eq!(endpoint.model, "m");
        assert_eq!(
            endpoint.properties,
            serde_json::json!({"temperature": 0.5})
                .as_object()
                .unwrap()
                .clone()
        );
    }

    #[test]
    fn messages_keep_the_openai_form() {
        let message = Message::Assistant {
            content: Some("hi".into()),
            name: Some("a".into()),
            tool_calls: Vec::new(),
        };
        assert_eq!(
            serde_json::to_value(&message).unwrap(),
            serde_json::json!({"role": "assistant", "content": "hi", "name": "a"})
        );
    }

    #[test]
    fn base_urls_are_checked() {
        assert!(address(&model(), "ftp://x", &["a"]).is_err());
        assert!(address(&model(), "nonsense", &["a"]).is_err());
        assert_eq!(
            address(&model(), "https://x/v1?k=1", &["a"])
                .unwrap()
                .as_str(),
            "https://x/v1/a?k=1"
        );
    }
}
