//! Well-known annotation and label keys.

/// Model: model calls per minute, per process.
pub const LIMIT_REQUESTS_PER_MINUTE: &str = "ark.mckinsey.com/limit-requests-per-minute";
/// Model: model calls at the same time, per process.
pub const LIMIT_CONCURRENCY: &str = "ark.mckinsey.com/limit-concurrency";
/// Agent: bound of the model replies in one execution.
pub const MAX_TURNS: &str = "ark.mckinsey.com/max-turns";
/// Agent: the A2AServer that the agent was discovered at; its presence suppresses the default model.
pub const A2A_SERVER_NAME: &str = "ark.mckinsey.com/a2a-server-name";
/// Agent: URL of the remote agent.
pub const A2A_SERVER_ADDRESS: &str = "ark.mckinsey.com/a2a-server-address";
/// Query: the A2A context to continue.
pub const A2A_CONTEXT_ID: &str = "ark.mckinsey.com/a2a-context-id";
/// Query: `"true"` asks for streaming.
pub const STREAMING_ENABLED: &str = "ark.mckinsey.com/streaming-enabled";
/// Prefix of what defaulting notes about deprecated forms; the values are echoed as warnings.
pub const MIGRATION_WARNING_PREFIX: &str = "ark.mckinsey.com/migration-warning-";
/// Label of Agents and Tools: `"true"` skips their defaulting and validation.
pub const SKIP_VALIDATION_LABEL: &str = "ark.mckinsey.com/skip-webhook-validation";
/// What `kubectl apply` last applied.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
