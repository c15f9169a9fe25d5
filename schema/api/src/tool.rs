//! Tool: something a model may call.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::{Header, NameReference, ObjectReference, Parameter, any_object, is_null};

/// How a tool is described to models and carried out.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "Tool",
    plural = "tools",
    namespaced,
    status = "ToolStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "Something a model may call."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ToolSpec {
    /// The agent to ask, for type `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<NameReference>,
    /// Hints about the tool's effects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
    /// The built-in function, for type `builtin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builtin: Option<NameReference>,
    /// Tells models what the tool is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The request to make, for type `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTool>,
    /// JSON Schema of the arguments.
    #[serde(default, skip_serializing_if = "is_null")]
    #[schemars(schema_with = "any_object")]
    pub input_schema: Value,
    /// The tool of an MCP server, for type `mcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpTool>,
    /// The team to ask, for type `team`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<NameReference>,
    /// `http`, `mcp`, `agent`, `team` or `builtin`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["http", "mcp", "agent", "team", "builtin"]))]
    pub type_: String,
}

/// Hints about a tool's effects, as MCP servers give them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ToolAnnotations {
    /// It may destroy something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// Calling it twice does no more than calling it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// It deals with things outside a closed domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
    /// It changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// A title for humans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The HTTP request that a tool makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct HttpTool {
    /// Body, a Go template over `.input` and the body parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Values for the template in `body`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body_parameters: Vec<Parameter>,
    /// Headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Method of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["GET", "POST", "PUT", "DELETE", "PATCH"], "default" = "GET"))]
    pub method: Option<String>,
    /// Bound of the request: a number of seconds, or a number with `s`, `m` or `h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]+[smh]?$"))]
    pub timeout: Option<String>,
    /// URL; `{name}` stands for the argument of that name.
    #[schemars(length(min = 1), regex(pattern = r"^https?://.*"))]
    pub url: String,
}

/// A tool of an MCP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct McpTool {
    /// The server.
    pub mcp_server_ref: ObjectReference,
    /// The tool's name on the server.
    #[schemars(length(min = 1))]
    pub tool_name: String,
}

/// What is known about a tool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ToolStatus {
    /// Details for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Ready` once the tool was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}
