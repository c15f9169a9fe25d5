//! Where a call goes: address, credential, headers and properties, resolved at the last moment.

use ark_plan::{Class, Input, ModelPlan, Parameter, Source};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Map, Value};
use url::Url;

use super::Settings;
use super::address::{address, base_url, messages_path, owner};
use super::overrides::Route;
use super::properties::set_property;
use super::unreachable::Callee;
use crate::failure::Failure;
use crate::headers;
use crate::secrets::Secrets;

/// Azure's API version when the Model names none.
const AZURE_API_VERSION: &str = "2024-10-21";

/// Anthropic's API version when the Model names none.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// The language of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Chat completions; Azure speaks it too.
    OpenAi,
    /// The Messages API.
    Anthropic,
}

/// Where one call goes and what it carries; holds credentials, therefore no `Debug`.
pub(super) struct Endpoint {
    /// The provider by the names of OpenTelemetry's conventions.
    pub(super) provider: &'static str,
    pub(super) protocol: Protocol,
    pub(super) callee: Callee,
    pub(super) url: Url,
    pub(super) model: String,
    pub(super) headers: HeaderMap,
    pub(super) properties: Map<String, Value>,
}

impl Endpoint {
    /// The provider that the Model names, or the one that overrides put in its place.
    pub(super) async fn of(
        model: &ModelPlan,
        input: &Input,
        secrets: &Secrets,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let name = secrets.value(&model.model, input).await?;
        let own = base_url(model, input, secrets, settings.url_policy).await;
        let route = settings
            .overrides
            .route(&model.provider, name.expose(), own.as_deref().ok());
        let routed = route.is_some();
        let (provider, base) = match route {
            Some(Route { provider, base_url }) => (provider, base_url),
            None => (model.provider.as_str(), own?),
        };
        let key = match settings.overrides.api_key(provider, &base) {
            Some(key) => Some(key.to_owned()),
            // The Model's own credentials are for the Model's own address.
            None if routed => None,
            None => api_key(model, input, secrets).await?,
        };
        let version = match &model.api_version {
            Some(source) => Some(secrets.value(source, input).await?.expose().to_owned()),
            None => None,
        };
        let mut endpoint = match provider {
            "openai" => Self::openai(model, &base, key)?,
            "azure" => Self::azure(model, name.expose(), &base, key, version)?,
            "anthropic" => Self::anthropic(model, &base, key, version)?,
            other => return Err(unsupported(model, other)),
        };
        let is_open = routed || matches!(model.base_url, Source::Literal(_));
        endpoint.callee = Callee::new(model, &endpoint.url, is_open);
        endpoint.model = name.expose().to_owned();
        endpoint.properties = properties(&model.properties, input, secrets).await?;
        // The Query's own overrides come last and win.
        let mut own = model.headers.clone();
        own.retain(|header| !routed || matches!(header.value, Source::Literal(_)));
        for written in [&own, &input.model_headers] {
            let written = headers::resolve(&owner(model), written, input, secrets).await?;
            endpoint.headers.extend(written);
        }
        Ok(endpoint)
    }

    fn openai(model: &ModelPlan, base: &str, key: Option<String>) -> Result<Self, Failure> {
        let url = address(model, base, &["chat", "completions"])?;
        let mut endpoint = Self::new("openai", Protocol::OpenAi, model, url);
        if let Some(key) = key {
            endpoint.header(model, AUTHORIZATION.as_str(), &format!("Bearer {key}"))?;
        }
        Ok(endpoint)
    }

    /// The model's name is the name of a deployment here.
    fn azure(
        model: &ModelPlan,
        deployment: &str,
        base: &str,
        key: Option<String>,
        version: Option<String>,
    ) -> Result<Self, Failure> {
        let path = ["openai", "deployments", deployment, "chat", "completions"];
        let mut url = address(model, base, &path)?;
        let version = version.as_deref().unwrap_or(AZURE_API_VERSION);
        url.query_pairs_mut().append_pair("api-version", version);
        let mut endpoint = Self::new("azure.ai.openai", Protocol::OpenAi, model, url);
        let key = key.ok_or_else(|| azure_needs_a_key(model))?;
        endpoint.header(model, "api-key", &key)?;
        Ok(endpoint)
    }

    fn anthropic(
        model: &ModelPlan,
        base: &str,
        key: Option<String>,
        version: Option<String>,
    ) -> Result<Self, Failure> {
        let url = address(model, base, messages_path(base))?;
        let mut endpoint = Self::new("anthropic", Protocol::Anthropic, model, url);
        if let Some(key) = key {
            endpoint.header(model, "x-api-key", &key)?;
        }
        let version = version.as_deref().unwrap_or(ANTHROPIC_VERSION);
        endpoint.header(model, "anthropic-version", version)?;
        Ok(endpoint)
    }

    fn new(provider: &'static str, protocol: Protocol, model: &ModelPlan, url: Url) -> Self {
        Self {
            provider,
            protocol,
            callee: Callee::new(model, &url, true),
            url,
            model: String::new(),
            headers: HeaderMap::new(),
            properties: Map::new(),
        }
    }

    fn header(
        &mut self,
        model: &ModelPlan,
        name: &'static str,
        value: &str,
    ) -> Result<(), Failure> {
        let value = headers::value(&owner(model), name, value)?;
        self.headers.insert(name, value);
        Ok(())
    }

    /// The mock; only literals are used, so that a missing Secret does not matter.
    pub(super) fn mock(url: &str, model: &ModelPlan) -> Result<Self, Failure> {
        let literal = |source: &Source| match source {
            Source::Literal(text) => Some(text.clone()),
            _ => None,
        };
        // Any key will do, but Anthropic's servers and their likenesses want one.
        let mut endpoint = match model.provider.as_str() {
            "anthropic" => Self::anthropic(model, url, Some("mock".to_owned()), None)?,
            _ => Self::openai(model, url, None)?,
        };
        endpoint.model = literal(&model.model).unwrap_or_else(|| model.name.clone());
        for property in &model.properties {
            if let Some(text) = literal(&property.value) {
                set_property(&mut endpoint.properties, &property.name, &text);
            }
        }
        Ok(endpoint)
    }
}

async fn api_key(
    model: &ModelPlan,
    input: &Input,
    secrets: &Secrets,
) -> Result<Option<String>, Failure> {
    let Some(source) = &model.api_key else {
        return Ok(None);
    };
    let key = secrets.value(source, input).await?;
    Ok(Some(key.expose().trim().to_owned()).filter(|key| !key.is_empty()))
}

async fn properties(
    properties: &[Parameter],
    input: &Input,
    secrets: &Secrets,
) -> Result<Map<String, Value>, Failure> {
    let mut resolved = Map::new();
    for property in properties {
        let value = secrets.value(&property.value, input).await?;
        set_property(&mut resolved, &property.name, value.expose());
    }
    Ok(resolved)
}

fn azure_needs_a_key(model: &ModelPlan) -> Failure {
    let owner = owner(model);
    Failure::new(
        Class::Unsupported,
        format!(
            "{owner}: azure is called with an apiKey only; managed and workload identity are not supported yet."
        ),
    )
}

fn unsupported(model: &ModelPlan, provider: &str) -> Failure {
    let owner = owner(model);
    Failure::new(
        Class::Unsupported,
        format!(
            "{owner}: the provider {provider} is not supported yet; use openai, azure or anthropic."
        ),
    )
}

#[cfg(test)]
mod tests {
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
        let endpoint = Endpoint::mock("http://127.0.0.1:1/v1/", &model()).unwrap();
        assert_eq!(endpoint.url.as_str(), "http://127.0.0.1:1/v1/messages");
        assert_eq!(endpoint.protocol, Protocol::Anthropic);
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
    fn azure_has_the_deployment_in_its_path_and_the_version_in_its_query() {
        let azure = |version: Option<&str>| {
            let (key, version) = (Some("k".to_owned()), version.map(str::to_owned));
            Endpoint::azure(&model(), "gpt 4/x", "https://a.example/", key, version).unwrap()
        };
        let address = "https://a.example/openai/deployments/gpt%204%2Fx/chat/completions";
        assert_eq!(
            azure(None).url.as_str(),
            format!("{address}?api-version={AZURE_API_VERSION}")
        );
        let endpoint = azure(Some("2026-01-01-preview"));
        assert_eq!(
            endpoint.url.as_str(),
            format!("{address}?api-version=2026-01-01-preview")
        );
        assert_eq!(endpoint.headers["api-key"], "k");
        assert!(!endpoint.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn anthropic_has_the_key_and_the_version_in_headers() {
        let key = Some("k".to_owned());
        let endpoint = Endpoint::anthropic(&model(), "https://a.example", key, None).unwrap();
        assert_eq!(endpoint.url.as_str(), "https://a.example/v1/messages");
        assert_eq!(endpoint.headers["x-api-key"], "k");
        assert_eq!(endpoint.headers["anthropic-version"], ANTHROPIC_VERSION);
        assert!(endpoint.headers["x-api-key"].is_sensitive());
    }
}
