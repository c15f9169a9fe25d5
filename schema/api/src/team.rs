//! Team: several agents that work on one question.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{Condition, integer};

/// Who works together, and in which order.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "Team",
    plural = "teams",
    namespaced,
    status = "TeamStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "Several agents that work on one question."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TeamSpec {
    /// Shown to models that may call this team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which member may follow which, for strategy `selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<TeamGraph>,
    /// Whether strategy `sequential` starts again after the last member.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub loops: Option<bool>,
    /// Bound of the number of turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "integer")]
    pub max_turns: Option<i64>,
    /// The members in order, all in the team's namespace.
    pub members: Vec<TeamMember>,
    /// Who chooses the next member, for strategy `selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<TeamSelector>,
    /// `sequential` or `selector`; `round-robin` and `graph` are deprecated.
    pub strategy: String,
}

/// A member of a team.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TeamMember {
    /// Name of the member.
    pub name: String,
    /// `agent` or `team`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// Allowed transitions between members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TeamGraph {
    /// The transitions.
    pub edges: Vec<TeamGraphEdge>,
}

/// One allowed transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TeamGraphEdge {
    /// Member that has spoken.
    pub from: String,
    /// Member that may speak next.
    pub to: String,
}

/// How the next member is chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TeamSelector {
    /// Agent that chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Whether the choosing agent may end the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_terminate_tool: Option<bool>,
    /// Prompt for the choosing agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector_prompt: Option<String>,
    /// Tells the choosing agent when to end the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate_prompt: Option<String>,
}

/// What is known about a team.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TeamStatus {
    /// `Available`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
