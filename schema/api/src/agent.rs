//! Agent: a prompt, a model and the tools it may call.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::{
    Condition, ObjectReference, Override, Parameter, ValueFromSource, any_object, is_null,
};

/// What an agent is made of.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "Agent",
    plural = "agents",
    namespaced,
    status = "AgentStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A prompt, a model and the tools it may call."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AgentSpec {
    /// Shown to selectors and to models that may call this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Engine that runs the agent; `a2a` means a remote agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_engine: Option<ObjectReference>,
    /// The model to use; the Model named `default` when absent at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_ref: Option<ObjectReference>,
    /// JSON Schema that the answer must follow.
    #[serde(default, skip_serializing_if = "is_null")]
    #[schemars(schema_with = "any_object")]
    pub output_schema: Value,
    /// Headers for the calls that this agent makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Values for the template in `prompt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// System prompt, a Go template over `parameters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Tools that the model is offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<AgentTool>,
}

/// A tool as an agent offers it to its model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AgentTool {
    /// Rule for asking a human first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ToolApproval>,
    /// Shown to the model instead of the Tool's own description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Steps that the result passes through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<ToolFunction>,
    /// Name shown to the model and, without `partial`, name of the Tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Arguments that are set in advance and hidden from the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<PartialTool>,
    /// Type of the Tool; `built-in` needs no Tool object, `custom` is deprecated.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["built-in", "custom", "mcp", "http", "agent", "team", "builtin"]))]
    pub type_: String,
}

/// Rule for asking a human before a tool runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ToolApproval {
    /// What happens when nobody answers: `reject` or `proceed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["reject", "proceed"], "default" = "reject"))]
    pub on_timeout: Option<String>,
    /// Whether a human must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// How long to wait, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A step that a tool's result passes through.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ToolFunction {
    /// Name of the function; only `jq` does something.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The function's argument, for `jq` its filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where to read the argument instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFromSource>,
}

impl std::fmt::Debug for ToolFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolFunction")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Arguments of a Tool that are set in advance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct PartialTool {
    /// Name of the Tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// The arguments; values are Go templates over `.Query`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
}

impl AgentTool {
    /// Name of the Tool object: the partial's name, else the entry's own.
    pub fn tool_name(&self) -> Option<&str> {
        let partial = self.partial.as_ref().and_then(|p| p.name.as_deref());
        partial.or(self.name.as_deref())
    }
}

/// What is known about an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct AgentStatus {
    /// `Available`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
