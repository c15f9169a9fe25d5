//! MCPServer: a server whose tools become Tool objects.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shared::{Condition, Header, ValueSource, integer};

/// Where the server is and how to talk to it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "MCPServer",
    plural = "mcpservers",
    namespaced,
    status = "MCPServerStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "A server whose tools become Tool objects."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct MCPServerSpec {
    /// Full URL of the endpoint.
    pub address: ValueSource,
    /// Where OAuth tokens are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<McpAuthorization>,
    /// What the server is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Headers of each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// How often the tools are listed again, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m"))]
    pub poll_interval: Option<String>,
    /// Bound of connecting, a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "30s"))]
    pub timeout: Option<String>,
    /// Bound of each tool call; only the query's own bound when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub tool_call_timeout: Option<String>,
    /// `http` or `sse`.
    #[schemars(extend("enum" = ["http", "sse"], "default" = "http"))]
    pub transport: String,
}

/// OAuth settings of an MCP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct McpAuthorization {
    /// Secret that holds the tokens.
    pub token_secret_ref: TokenSecretReference,
}

/// A Secret of the same namespace and the keys under which it holds tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct TokenSecretReference {
    /// Key of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "access_token"))]
    pub access_token_key: Option<String>,
    /// Key of the client id.
    #[serde(rename = "clientIDKey", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "client_id"))]
    pub client_id_key: Option<String>,
    /// Key of the client secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "client_secret"))]
    pub client_secret_key: Option<String>,
    /// Key of the time at which the access token expires, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "expires_at"))]
    pub expires_at_key: Option<String>,
    /// Name of the Secret.
    pub name: String,
    /// Key of the refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "refresh_token"))]
    pub refresh_token_key: Option<String>,
}

/// What is known about an MCP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct MCPServerStatus {
    /// State of the OAuth authorization; absent when none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<McpAuthorizationStatus>,
    /// `Available` and `Discovering`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// URL that the server was last found under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_address: Option<String>,
    /// Number of tools that the server offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "integer")]
    pub tool_count: Option<i64>,
}

/// What the server and its authorization server say about OAuth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct McpAuthorizationStatus {
    /// Endpoint that asks the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Authorization servers that the server names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// When the current token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: Option<String>,
    /// Grant types that the authorization server supports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<String>,
    /// When this was last found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_discovered: Option<String>,
    /// Endpoint that registers clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// The protected resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Where the resource describes itself.
    #[serde(
        rename = "resourceMetadataURL",
        skip_serializing_if = "Option::is_none"
    )]
    pub resource_metadata_url: Option<String>,
    /// Name of the resource for humans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// Scopes that the resource knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// `Required`, `DiscoveryFailed` or `Authorized`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Required", "DiscoveryFailed", "Authorized"]))]
    pub state: Option<String>,
    /// Endpoint that hands out tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
}
