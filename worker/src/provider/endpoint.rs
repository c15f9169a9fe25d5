//! Where a call goes: address, credential, headers and properties, resolved at the last moment.

use ark_plan::{Class, Input, ModelPlan, Parameter, Source};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::openai;
use crate::failure::Failure;
use crate::secrets::Secrets;

/// Azure's API version when the Model names none.
const AZURE_API_VERSION: &str = "2024-10-21";

/// Where one call goes and what it carries; holds credentials, therefore no `Debug`.
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) model: String,
    pub(super) headers: HeaderMap,
    pub(super) properties: Map<String, Value>,
}

impl Endpoint {
    /// The provider that the Model names.
    pub(super) async fn of(
        model: &ModelPlan,
        input: &Input,
        secrets: &Secrets,
    ) -> Result<Self, Failure> {
        let name = secrets.value(&model.model, input).await?;
        let base = secrets.value(&model.base_url, input).await?;
        let key = api_key(model, input, secrets).await?;
        let mut headers = HeaderMap::new();
        let url = match model.provider.as_str() {
            "openai" => {
                if let Some(key) = key {
                    headers.insert(
                        AUTHORIZATION,
                        header_value(model, "apiKey", &format!("Bearer {key}"))?,
                    );
                }
                address(model, base.expose(), &["chat", "completions"])?
            }
            "azure" => {
                let key = key.ok_or_else(|| azure_needs_a_key(model))?;
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
                    Some(source) => secrets.value(source, input).await?.expose().to_owned(),
                    None => AZURE_API_VERSION.to_owned(),
                };
                url.query_pairs_mut().append_pair("api-version", &version);
                url
            }
            other => return Err(unsupported(model, other)),
        };
        // The Query's own overrides come last and win.
        for header in model.headers.iter().chain(&input.model_headers) {
            let value = secrets.value(&header.value, input).await?;
            headers.insert(
                header_name(model, &header.name)?,
                header_value(model, &header.name, value.expose())?,
            );
        }
        let properties = properties(&model.properties, input, secrets).await?;
        Ok(Self {
            url,
            model: name.expose().to_owned(),
            headers,
            properties,
        })
    }

    /// The mock; only literals are used, so that a missing Secret does not matter.
    pub(super) fn mock(url: &str, model: &ModelPlan) -> Result<Self, Failure> {
        let literal = |source: &Source| match source {
            Source::Literal(text) => Some(text.clone()),
            _ => None,
        };
        let mut properties = Map::new();
        for property in &model.properties {
            if let Some(text) = literal(&property.value) {
                openai::set_property(&mut properties, &property.name, &text);
            }
        }
        Ok(Self {
            url: address(model, url, &["chat", "completions"])?,
            model: literal(&model.model).unwrap_or_else(|| model.name.clone()),
            headers: HeaderMap::new(),
            properties,
        })
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
        openai::set_property(&mut resolved, &property.name, value.expose());
    }
    Ok(resolved)
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
