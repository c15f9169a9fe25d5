//! Model: defaults and rules.

use serde_json::{Map, Value, json};

use super::values::Resolved;
use super::{Check, check_model_url, make_canonical, object_at, stamp_migration};
use crate::field_error::FieldError;
use crate::model::{AzureConfig, BedrockConfig, ModelSpec};
use crate::shared::ValueSource;

const PROVIDERS: [&str; 4] = ["openai", "azure", "bedrock", "anthropic"];

pub(super) fn default(object: &mut Value) {
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let Some(spec) = object_at(object, "spec") else {
        return;
    };
    make_canonical(spec.get_mut("pollInterval"));
    let type_ = text(spec, "type");
    let migrate = text(spec, "provider").is_empty()
        && ["openai", "azure", "bedrock"].contains(&type_.as_str());
    if migrate {
        spec.insert("provider".into(), json!(type_));
        spec.insert("type".into(), json!("completions"));
    }
    let is_bedrock = text(spec, "provider") == "bedrock";
    let set = |field: &str| !object["spec"]["config"]["bedrock"][field].is_null();
    let both_keys = is_bedrock && set("apiKey") && (set("accessKeyId") || set("secretAccessKey"));
    if migrate {
        let text = format!(
            "model {name:?}: the provider {type_:?} stands in spec.type, which is deprecated; \
             set spec.provider: {type_} and spec.type: completions"
        );
        stamp_migration(object, "provider", text);
    }
    if both_keys {
        let text = format!(
            "model {name:?}: spec.config.bedrock has apiKey and an access key; apiKey is used"
        );
        stamp_migration(object, "bedrock-auth", text);
    }
}

fn text(spec: &Map<String, Value>, field: &str) -> String {
    let value = spec.get(field).and_then(Value::as_str);
    value.unwrap_or("").to_owned()
}

pub(super) fn validate(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: ModelSpec = check.spec()?;
    check.resolve(&spec.model, "spec.model");
    check.require_duration(spec.poll_interval.as_deref(), "spec.pollInterval");
    let path = format!("spec.config.{}", spec.provider);
    match spec.provider.as_str() {
        "openai" => {
            let config = block(spec.config.openai, &path)?;
            base_url(check, &config.base_url, &path);
            check.resolve(&config.api_key, &format!("{path}.apiKey"));
            check.headers(&config.headers, &format!("{path}.headers"));
        }
        "anthropic" => {
            let config = block(spec.config.anthropic, &path)?;
            base_url(check, &config.base_url, &path);
            check.resolve(&config.api_key, &format!("{path}.apiKey"));
            optional(check, &config.version, &format!("{path}.version"));
            check.headers(&config.headers, &format!("{path}.headers"));
        }
        "azure" => azure(check, &block(spec.config.azure, &path)?, &path),
        "bedrock" => bedrock(check, &block(spec.config.bedrock, &path)?, &path),
        "" => {
            let type_ = spec.type_.as_deref().unwrap_or("");
            let hint = match PROVIDERS.contains(&type_) {
                true => format!("set it to {type_:?} and spec.type to \"completions\""),
                false => format!("one of {}", PROVIDERS.join(", ")),
            };
            check.error(FieldError::required("spec.provider", &hint));
        }
        other => check.error(FieldError::not_supported(
            "spec.provider",
            &json!(other),
            &PROVIDERS,
        )),
    }
    Ok(())
}

/// The settings of the chosen provider, which must be there.
fn block<Config>(config: Option<Config>, path: &str) -> Result<Config, FieldError> {
    config.ok_or_else(|| FieldError::required(path, "the settings of the chosen provider"))
}

fn base_url(check: &mut Check<'_>, source: &ValueSource, path: &str) {
    let path = format!("{path}.baseUrl");
    let Resolved::Text(url) = check.resolve(source, &path) else {
        return;
    };
    if let Err(problem) = check_model_url(&url, check.rules.model_urls) {
        let literal = source.value.as_deref().filter(|text| !text.is_empty());
        // What a Secret holds is not repeated.
        let shown = literal.unwrap_or("from reference");
        check.error(FieldError::invalid(
            path,
            &json!(shown),
            &format!("the base URL {problem}"),
        ));
    }
}

/// References of a source that may be left empty.
fn optional(check: &mut Check<'_>, source: &Option<ValueSource>, path: &str) {
    if let Some(source) = source.as_ref().filter(|source| source.value_from.is_some()) {
        check.resolve(source, path);
    }
}

fn azure(check: &mut Check<'_>, config: &AzureConfig, path: &str) {
    base_url(check, &config.base_url, path);
    optional(check, &config.api_version, &format!("{path}.apiVersion"));
    check.headers(&config.headers, &format!("{path}.headers"));
    let Some(auth) = &config.auth else {
        match &config.api_key {
            Some(key) => {
                check.resolve(key, &format!("{path}.apiKey"));
            }
            None => {
                let detail = "set one of apiKey, managedIdentity and workloadIdentity";
                check.error(FieldError::required(format!("{path}.auth"), detail));
            }
        }
        return;
    };
    let path = format!("{path}.auth");
    let methods = [
        auth.api_key.is_some(),
        auth.managed_identity.is_some(),
        auth.workload_identity.is_some(),
    ];
    if methods.into_iter().filter(|set| *set).count() != 1 {
        let detail = "set exactly one of apiKey, managedIdentity and workloadIdentity";
        check.error(FieldError::required(path, detail));
        return;
    }
    if let Some(key) = &auth.api_key {
        check.resolve(key, &format!("{path}.apiKey"));
    }
    if let Some(identity) = &auth.managed_identity {
        optional(
            check,
            &identity.client_id,
            &format!("{path}.managedIdentity.clientId"),
        );
    }
    if let Some(identity) = &auth.workload_identity {
        check.resolve(
            &identity.client_id,
            &format!("{path}.workloadIdentity.clientId"),
        );
        check.resolve(
            &identity.tenant_id,
            &format!("{path}.workloadIdentity.tenantId"),
        );
    }
}

/// As in Ark the reference in `apiKey` is not looked up.
fn bedrock(check: &mut Check<'_>, config: &BedrockConfig, path: &str) {
    if let Some(source) = &config.base_url {
        base_url(check, source, path);
    }
    for (name, source) in [
        ("region", &config.region),
        ("accessKeyId", &config.access_key_id),
        ("secretAccessKey", &config.secret_access_key),
        ("sessionToken", &config.session_token),
        ("modelArn", &config.model_arn),
    ] {
        optional(check, source, &format!("{path}.{name}"));
    }
}
