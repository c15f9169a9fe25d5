//! Query: one question to an Agent, Team, Model or Tool, and its answer.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::{
    Condition, LabelSelector, ObjectReference, Override, Parameter, any_value, is_null,
};

/// What is asked, of whom, and within which bounds.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "Query",
    plural = "queries",
    namespaced,
    status = "QueryStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "One question to an Agent, Team, Model or Tool, and its answer."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct QuerySpec {
    /// Set to true to end the query as `canceled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
    /// Continues the conversation with this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub conversation_id: Option<String>,
    /// The question: a string, which is a Go template over `parameters`.
    #[serde(skip_serializing_if = "is_null")]
    #[schemars(schema_with = "any_value")]
    pub input: Value,
    /// Where the conversation is kept; the Memory named `default` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ObjectReference>,
    /// Headers for the calls that this query makes; they win over the agent's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Values for templates and for `queryParameterRef`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Chooses the target by labels: the first match among Agents, Teams, Models, Tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Service account whose rights decide what the query may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub service_account: Option<String>,
    /// Groups queries in telemetry; the query's uid when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub session_id: Option<String>,
    /// Who is to answer; wins over `selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<QueryTarget>,
    /// Bound of the execution, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5m"))]
    pub timeout: Option<String>,
    /// How long the finished query is kept, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Form of `input`; only `user`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["user"], "default" = "user"))]
    pub type_: Option<String>,
}

/// The object that answers a query, in the query's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct QueryTarget {
    /// Name of the object.
    #[schemars(length(min = 1))]
    pub name: String,
    /// `agent`, `team`, `model` or `tool`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["agent", "team", "model", "tool"]))]
    pub type_: String,
}

/// How far the query is, and its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct QueryStatus {
    /// `Completed` and what else is known about the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The conversation that the query belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub conversation_id: Option<String>,
    /// Wall time of the execution, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How far it has come; done, error and canceled are final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "enum" = ["pending", "queued", "provisioning", "running", "input-required", "error", "done", "canceled"],
        "default" = "pending"
    ))]
    pub phase: Option<String>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<QueryResponse>,
    /// Tokens that the query used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_usage: Option<TokenUsage>,
}

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct QueryResponse {
    /// Identifiers of the A2A exchange, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a2a: Option<A2aIds>,
    /// Text of the answer, or of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Phase of this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// JSON text of the messages that led to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<QueryTarget>,
}

/// Identifiers of an A2A exchange.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2aIds {
    /// Context of the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// Task of the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

/// Token counts of one query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TokenUsage {
    /// Prompt tokens that the provider served from its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<i64>,
    /// Tokens of the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<i64>,
    /// Tokens of the prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<i64>,
    /// Sum of prompt and completion tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<i64>,
}

/// The phases of a Query.
pub mod phase {
    /// Seen, nothing started.
    pub const PENDING: &str = "pending";
    /// Waits for a worker or for room within a limit.
    pub const QUEUED: &str = "queued";
    /// An external engine prepares the execution.
    pub const PROVISIONING: &str = "provisioning";
    /// In execution.
    pub const RUNNING: &str = "running";
    /// Waits for a human.
    pub const INPUT_REQUIRED: &str = "input-required";
    /// Ended without an answer.
    pub const ERROR: &str = "error";
    /// Ended with an answer.
    pub const DONE: &str = "done";
    /// Ended on request.
    pub const CANCELED: &str = "canceled";

    /// Whether a Query in this phase stays as it is.
    pub fn is_terminal(phase: &str) -> bool {
        matches!(phase, ERROR | DONE | CANCELED)
    }
}

impl Query {
    /// The phase in the status, `pending` when there is none.
    pub fn phase(&self) -> &str {
        let phase = self.status.as_ref().and_then(|s| s.phase.as_deref());
        phase.unwrap_or(phase::PENDING)
    }

    /// Whether the status says that the query has ended.
    pub fn is_terminal(&self) -> bool {
        phase::is_terminal(self.phase())
    }
}
