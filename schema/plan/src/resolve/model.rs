//! A Model with its provider's address, credentials and limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use ark_api::admission::check_model_url;
use ark_api::annotations::{LIMIT_CONCURRENCY, LIMIT_REQUESTS_PER_MINUTE};
use ark_api::{AzureConfig, Header, Model, ValueSource};
use kube::ResourceExt;

use super::value::Use;
use super::{Kind, Object, Owner, Resolver, Stop, all, configuration, unsupported};
use crate::{Limits, ModelPlan, Parameter, Source, scope};

/// The one block of `spec.config` that counts, whatever the provider.
struct Block<'m> {
    field: &'static str,
    base_url: &'m ValueSource,
    api_key: Option<&'m ValueSource>,
    api_version: Option<&'m ValueSource>,
    headers: &'m [Header],
    properties: &'m BTreeMap<String, ValueSource>,
}

impl Resolver<'_> {
    pub(super) fn model_object(
        &mut self,
        owner: &Owner,
        field: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Model>, Stop> {
        match self.object(Kind::Model, namespace, name)? {
            Some(Object::Model(model)) => Ok(model.clone()),
            _ => Err(configuration(format!(
                "{owner}: {field} names Model {namespace}/{name}, which does not exist; create it or name another"
            ))),
        }
    }

    pub(super) fn model(&mut self, model: &Model) -> Result<ModelPlan, Stop> {
        let owner = Owner::of("Model", model);
        let provider = provider(model);
        let block = block(&owner, provider, model)?;
        let field = |name: &str| format!("{}.{name}", block.field);
        let mut sources = all([
            self.value(&owner, "spec.model", &model.spec.model),
            self.value(&owner, &field("baseUrl"), block.base_url),
        ])?;
        let (base_url, name) = (sources.remove(1), sources.remove(0));
        if let Source::Literal(url) = &base_url {
            self.check_url(&owner, &field("baseUrl"), url)?;
        }
        let mut optional = |name: &str, value: Option<&ValueSource>| {
            value
                .map(|value| self.value(&owner, &field(name), value))
                .transpose()
        };
        let api_key = optional("apiKey", block.api_key);
        let api_version = optional("apiVersion", block.api_version);
        let headers = self.headers(&owner, &field("headers"), block.headers, Use::Credential);
        let properties = all(block.properties.iter().map(|(name, value)| {
            let value = self.value(&owner, &format!("{}.properties.{name}", block.field), value)?;
            Ok(Parameter {
                name: name.clone(),
                value,
            })
        }));
        let api_key = api_key?;
        Ok(ModelPlan {
            namespace: owner.namespace.clone(),
            name: owner.name.clone(),
            provider: provider.to_owned(),
            scope: scope(&base_url, api_key.as_ref(), &name),
            model: name,
            base_url,
            api_key,
            api_version: api_version?,
            headers: headers?,
            properties: properties?,
            limits: Limits {
                requests_per_minute: limit(&owner, model, LIMIT_REQUESTS_PER_MINUTE)?,
                concurrency: limit(&owner, model, LIMIT_CONCURRENCY)?,
            },
        })
    }

    fn check_url(&self, owner: &Owner, field: &str, url: &str) -> Result<(), Stop> {
        let refused = |why| configuration(format!("{owner}: {field} {why}"));
        check_model_url(url, self.options.model_url_policy).map_err(refused)
    }
}

// Before Ark 0.1.50 the provider stood in `type`.
fn provider(model: &Model) -> &str {
    match (model.spec.provider.as_str(), model.spec.type_.as_deref()) {
        ("", Some(type_)) => type_,
        (provider, _) => provider,
    }
}

fn block<'m>(owner: &Owner, provider: &str, model: &'m Model) -> Result<Block<'m>, Stop> {
    let config = &model.spec.config;
    let missing = || {
        configuration(format!(
            "{owner}: spec.config.{provider} is missing; spec.provider is {provider:?}"
        ))
    };
    match provider {
        "openai" => {
            let config = config.openai.as_ref().ok_or_else(missing)?;
            Ok(Block {
                field: "spec.config.openai",
                base_url: &config.base_url,
                api_key: Some(&config.api_key),
                api_version: None,
                headers: &config.headers,
                properties: &config.properties,
            })
        }
        "anthropic" => {
            let config = config.anthropic.as_ref().ok_or_else(missing)?;
            Ok(Block {
                field: "spec.config.anthropic",
                base_url: &config.base_url,
                api_key: Some(&config.api_key),
                api_version: config.version.as_ref(),
                headers: &config.headers,
                properties: &config.properties,
            })
        }
        "azure" => {
            let config = config.azure.as_ref().ok_or_else(missing)?;
            Ok(Block {
                field: "spec.config.azure",
                base_url: &config.base_url,
                api_key: Some(azure_key(owner, config)?),
                api_version: config.api_version.as_ref(),
                headers: &config.headers,
                properties: &config.properties,
            })
        }
        "bedrock" => Err(unsupported(format!(
            "{owner}: the provider bedrock is not supported yet; use openai, azure or anthropic"
        ))),
        other => Err(configuration(format!(
            "{owner}: spec.provider is {other:?}; use openai, azure or anthropic"
        ))),
    }
}

fn azure_key<'m>(owner: &Owner, config: &'m AzureConfig) -> Result<&'m ValueSource, Stop> {
    match (&config.auth, &config.api_key) {
        (Some(auth), _) => auth.api_key.as_ref().ok_or_else(|| {
            unsupported(format!(
                "{owner}: spec.config.azure.auth names an Azure identity, which is not supported yet; use auth.apiKey"
            ))
        }),
        (None, Some(key)) => Ok(key),
        (None, None) => Err(configuration(format!("{owner}: spec.config.azure has no credential; set auth.apiKey"))),
    }
}

fn limit(owner: &Owner, model: &Model, annotation: &str) -> Result<Option<u32>, Stop> {
    let Some(text) = model.annotations().get(annotation) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(limit @ 1..) => Ok(Some(limit)),
        _ => Err(configuration(format!(
            "{owner}: the annotation {annotation} is {text:?}; write a whole number above 0, or remove it"
        ))),
    }
}
