//! A2ATask: a task at a remote agent, or a decision that a human is asked for.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{Condition, ObjectReference};

/// What was asked, of whom, and how long to wait.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "A2ATask",
    plural = "a2atasks",
    namespaced,
    status = "A2ATaskStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A task at a remote agent, or a decision that a human is asked for."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskSpec {
    /// Server to poll; absent for a decision by a human.
    #[serde(rename = "a2aServerRef", skip_serializing_if = "Option::is_none")]
    pub a2a_server_ref: Option<A2ATaskServerReference>,
    /// Agent that works on the task.
    pub agent_ref: A2ATaskAgentReference,
    /// Context of the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// What was asked; for a decision, its JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Further values for the agent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// How often the server is asked, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5s"))]
    pub poll_interval: Option<String>,
    /// Declared only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 0))]
    pub priority: Option<i32>,
    /// Query that the task belongs to.
    pub query_ref: ObjectReference,
    /// Id of the task in the protocol.
    #[schemars(length(min = 1))]
    pub task_id: String,
    /// How long the task is polled, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "12h"))]
    pub timeout: Option<String>,
    /// How long the object is kept, from its creation, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "720h"))]
    pub ttl: Option<String>,
}

/// The agent of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskAgentReference {
    /// Name of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the agent; the task's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The server of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskServerReference {
    /// Name of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Namespace of the server; the task's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// How far the task is, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskStatus {
    /// What the task produced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<A2ATaskArtifact>,
    /// When the task ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completion_time: Option<String>,
    /// `Completed`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Context of the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Messages so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<A2ATaskMessage>,
    /// Message of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_status_message: Option<A2ATaskMessage>,
    /// When the protocol's state last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_status_timestamp: Option<String>,
    /// Where the task stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "enum" = [
            "pending", "assigned", "running", "input-required", "auth-required",
            "completed", "failed", "cancelled", "unknown"
        ],
        "default" = "pending"
    ))]
    pub phase: Option<String>,
    /// What else the protocol says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub protocol_metadata: BTreeMap<String, String>,
    /// State in the words of the protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [
        "submitted", "working", "input-required", "completed", "canceled",
        "failed", "rejected", "auth-required", "unknown"
    ]))]
    pub protocol_state: Option<String>,
    /// When work began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub start_time: Option<String>,
}

/// Something that a task produced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskArtifact {
    /// Id of the artifact within its task.
    #[schemars(length(min = 1))]
    pub artifact_id: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What else is known about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Name for humans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its content.
    pub parts: Vec<A2ATaskPart>,
}

/// A message of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskMessage {
    /// Id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// What else is known about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Its content.
    pub parts: Vec<A2ATaskPart>,
    /// `user`, `agent` or `system`.
    #[schemars(extend("enum" = ["user", "agent", "system"]))]
    pub role: String,
}

/// A piece of content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct A2ATaskPart {
    /// Data as JSON text, or a file's bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `text`, `file` or `data`.
    #[schemars(extend("enum" = ["text", "file", "data"]))]
    pub kind: String,
    /// What else is known about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Media type of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where a file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}
