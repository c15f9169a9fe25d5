//! Memory: a store of conversations.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{Header, ValueSource};

/// Where the store is.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "Memory",
    plural = "memories",
    namespaced,
    status = "MemoryStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A store of conversations."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct MemorySpec {
    /// URL of the store.
    pub address: ValueSource,
    /// Headers of each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
}

/// What is known about a memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct MemoryStatus {
    /// URL that the store was last found under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_resolved_address: Option<String>,
    /// Details for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `running`, `ready` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["running", "ready", "error"]))]
    pub phase: Option<String>,
}
