//! ExecutionEngine: a server that runs agents.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::AddressSource;

/// Where the engine is.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1prealpha1",
    kind = "ExecutionEngine",
    plural = "executionengines",
    namespaced,
    status = "ExecutionEngineStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A server that runs agents."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ExecutionEngineSpec {
    /// URL of the engine.
    pub address: AddressSource,
    /// What the engine is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What is known about an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ExecutionEngineStatus {
    /// URL that the engine was last found under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_resolved_address: Option<String>,
    /// Details for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `running`, `ready` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}
