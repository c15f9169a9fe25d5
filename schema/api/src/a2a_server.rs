//! A2AServer: a server whose agents become Agent objects.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{AddressSource, Condition, Header};

/// Where the server is and how to talk to it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1prealpha1",
    kind = "A2AServer",
    plural = "a2aservers",
    namespaced,
    status = "A2AServerStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A server whose agents become Agent objects."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2AServerSpec {
    /// URL of the server.
    pub address: AddressSource,
    /// What the server is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Headers of each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// How often the agents are listed again, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m"))]
    pub poll_interval: Option<String>,
    /// Bound of an execution by one of its agents, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5m"))]
    pub timeout: Option<String>,
}

/// What is known about an A2A server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2AServerStatus {
    /// `Ready` and `Discovering`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// URL that the server was last found under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_resolved_address: Option<String>,
}
