//! Model: a language model behind a provider's API.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{Condition, Header, ValueSource};

/// Which model, where, and with which credentials.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "Model",
    plural = "models",
    namespaced,
    status = "ModelStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A language model behind a provider's API."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ModelSpec {
    /// Settings of the provider; the block of `provider` is used.
    pub config: ModelConfig,
    /// The provider's name for the model or deployment.
    pub model: ValueSource,
    /// How often the model is probed, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m"))]
    pub poll_interval: Option<String>,
    /// Whose API is spoken: `openai`, `azure`, `bedrock` or `anthropic`.
    #[schemars(extend("enum" = ["openai", "azure", "bedrock", "anthropic"]))]
    pub provider: String,
    /// What the model does: `completions`. The providers' names here are deprecated.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "enum" = ["completions", "openai", "azure", "bedrock", "anthropic"],
        "default" = "completions"
    ))]
    pub type_: Option<String>,
}

/// One block of settings for each provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ModelConfig {
    /// Settings for Anthropic's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic: Option<AnthropicConfig>,
    /// Settings for Azure OpenAI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureConfig>,
    /// Settings for AWS Bedrock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bedrock: Option<BedrockConfig>,
    /// Settings for OpenAI and servers that speak its API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openai: Option<OpenAiConfig>,
}

/// Settings for OpenAI and servers that speak its API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct OpenAiConfig {
    /// The key sent as bearer token.
    pub api_key: ValueSource,
    /// URL up to and including the version, without the operation.
    pub base_url: ValueSource,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Further members of each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, ValueSource>,
}

/// Settings for Anthropic's API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AnthropicConfig {
    /// The key.
    pub api_key: ValueSource,
    /// URL without the operation.
    pub base_url: ValueSource,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Further members of each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, ValueSource>,
    /// Version of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ValueSource>,
}

/// Settings for Azure OpenAI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AzureConfig {
    /// Deprecated: use `auth.apiKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ValueSource>,
    /// Version of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<ValueSource>,
    /// How to authenticate; exactly one method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AzureAuth>,
    /// URL of the Azure resource.
    pub base_url: ValueSource,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Further members of each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, ValueSource>,
}

/// How to authenticate with Azure; exactly one method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AzureAuth {
    /// By key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ValueSource>,
    /// By the identity of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<AzureManagedIdentity>,
    /// By the identity of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<AzureWorkloadIdentity>,
}

/// Azure's identity of the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AzureManagedIdentity {
    /// Which identity, when the machine has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ValueSource>,
}

/// Azure's identity of the pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AzureWorkloadIdentity {
    /// The application.
    pub client_id: ValueSource,
    /// The tenant.
    pub tenant_id: ValueSource,
}

/// Settings for AWS Bedrock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct BedrockConfig {
    /// Id of the access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<ValueSource>,
    /// A Bedrock API key; wins over the access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ValueSource>,
    /// URL of the endpoint, when not AWS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<ValueSource>,
    /// Bound of the answer's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "max_tokens")]
    pub max_tokens: Option<i64>,
    /// ARN of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_arn: Option<ValueSource>,
    /// Further members of each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, ValueSource>,
    /// AWS region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<ValueSource>,
    /// Secret of the access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<ValueSource>,
    /// Token of a temporary access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<ValueSource>,
    /// Sampling temperature from 0 to 1, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(0(\.\d+)?|1(\.0+)?)$"))]
    pub temperature: Option<String>,
}

fn max_tokens(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 100_000 })
}

/// What is known about a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ModelStatus {
    /// `ModelAvailable`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// URL that the model was last found under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_address: Option<String>,
}
