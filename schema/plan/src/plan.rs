//! What a Query resolves to: everything an execution needs, frozen, shared by all Queries with the same target.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The format that this program writes and the newest one it can execute; stored beside each plan so that an old
/// worker leaves a newer plan in the queue.
pub const FORMAT: i16 = 1;

/// A resolved target, stored once per content hash. It holds no secret: credentials stay [`Source::Secret`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What is executed.
    pub target: Target,
}

/// The object that answers the Query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Target {
    /// A turn loop over a model with tools.
    Agent(AgentPlan),
    /// One model call without tools.
    Model(ModelPlan),
    /// One tool call whose arguments are the Query's input.
    Tool(ToolPlan),
}

/// An Agent with its model and tools resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentPlan {
    /// The Agent's namespace.
    pub namespace: String,
    /// The Agent's name, which is also the `name` of its assistant messages.
    pub name: String,
    /// The system prompt: a Go template over `parameters` when there are any, else verbatim.
    pub prompt: String,
    /// The values that the prompt's template may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// The model that answers each turn.
    pub model: ModelPlan,
    /// The tools offered to the model, in the order of the Agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolPlan>,
    /// The most model replies of one run; the run then ends with class `TurnLimit`.
    pub max_turns: u32,
    /// A JSON Schema for structured output, as the Agent has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<serde_json::Value>,
}

/// A Model with its provider's address and credentials as sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelPlan {
    /// The Model's namespace, in which its Secrets are read.
    pub namespace: String,
    /// The Model's name.
    pub name: String,
    /// The wire protocol: `openai`, `azure`, `anthropic` or `bedrock`.
    pub provider: String,
    /// The provider's model identifier.
    pub model: Source,
    /// The base URL of the provider.
    pub base_url: Source,
    /// The credential; absent where the provider needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Source>,
    /// Azure's or Anthropic's API version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<Source>,
    /// Extra request headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Parameter>,
    /// Extra request properties, merged as strings and coerced by the provider layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Parameter>,
    /// Per-process limits from the Model's annotations.
    #[serde(default)]
    pub limits: Limits,
    /// The quota that calls count against: see [`scope`].
    pub scope: i64,
}

/// Limits of one scope; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Calls started per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Calls in flight at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// A tool as offered to a model, or called directly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolPlan {
    /// The Tool's namespace, in which its Secrets are read.
    pub namespace: String,
    /// The name that the model calls.
    pub name: String,
    /// What the model is told about it.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments, with preset arguments removed.
    pub input_schema: serde_json::Value,
    /// Arguments set by the Agent and hidden from the model; values are templates over `.Query.<parameter>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preset: Vec<Parameter>,
    /// jq expressions applied in order to the result text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// Whether a call that may already have happened can be made again.
    pub repeatable: bool,
    /// How it is called.
    pub call: ToolCall,
}

/// How a tool is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum ToolCall {
    /// One HTTP request.
    #[serde(rename_all = "camelCase")]
    Http {
        /// Address with `{argument}` placeholders.
        url: String,
        /// GET, POST, PUT, DELETE or PATCH.
        method: String,
        /// Request headers.
        headers: Vec<Parameter>,
        /// Limit of the whole request, in milliseconds.
        timeout_ms: u64,
        /// Go template over `.input.<argument>` and the body parameters; empty for none.
        body: String,
        /// Values for the body's template.
        body_parameters: Vec<Parameter>,
    },
    /// `noop`: returns its arguments.
    Noop,
    /// `terminate`: ends the run with its `response` argument.
    Terminate,
}

/// A named value that a template, header or property takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// The name by which it is used.
    pub name: String,
    /// Where the value comes from.
    pub value: Source,
}

/// Where a value comes from. ConfigMap values and Service addresses are frozen as literals when planning; a Secret
/// stays a reference until the worker needs it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The value itself.
    Literal(String),
    /// A key of a Secret, read by the worker at the last moment.
    Secret {
        /// The Secret's namespace.
        namespace: String,
        /// The Secret's name.
        name: String,
        /// The key in its data.
        key: String,
    },
    /// A parameter of the Query being executed.
    QueryParameter(String),
}

// A literal may be a credential that somebody wrote into a Model.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Literal(_) => f.write_str("Literal(REDACTED)"),
            Source::Secret {
                namespace,
                name,
                key,
            } => write!(f, "Secret({namespace}/{name}, {key})"),
            Source::QueryParameter(name) => write!(f, "QueryParameter({name})"),
        }
    }
}

/// What belongs to one execution only: the Query's own text and values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// `agent`, `model` or `tool`: the target as the Query's status names it.
    pub target_type: String,
    /// The target's name.
    pub target_name: String,
    /// The Query's input: a Go template over `parameters` when there are any, else verbatim.
    pub text: String,
    /// The Query's parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// Header overrides for the model, already matched and merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_headers: Vec<Parameter>,
    /// `spec.conversationId`, echoed in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// What the user should know from planning; the status shows it beside the outcome's own warnings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The content hash by which plans are stored: SHA-256 over the format and the JSON text.
pub fn hash(body: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(FORMAT.to_be_bytes());
    digest.update(body.as_bytes());
    digest.finalize().into()
}

/// The quota that a model's calls count against: the first 8 bytes of SHA-256 over endpoint, Secret reference and model;
/// never 0, which stands for "no model call".
pub fn scope(base_url: &Source, api_key: Option<&Source>, model: &Source) -> i64 {
    let key = serde_json::to_vec(&(base_url, api_key, model)).expect("sources are plain data");
    let digest: [u8; 32] = Sha256::digest(&key).into();
    let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    match i64::from_be_bytes(first) {
        0 => 1,
        scope => scope,
    }
}
