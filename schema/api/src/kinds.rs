//! The table of kinds: names, scope, printer columns and schema of each.

use std::sync::LazyLock;

use serde_json::Value;

use crate::schema::of_kind;
use crate::{a2a_server, a2a_task, agent, ark_config, execution_engine, mcp_server};
use crate::{memory, model, query, team, tool};

/// The version of most kinds.
pub const V1ALPHA1: &str = "v1alpha1";
/// The version of A2AServer and ExecutionEngine.
pub const V1PREALPHA1: &str = "v1prealpha1";

/// A column of `kubectl get`, after the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// OpenAPI type: `string`, `integer` or `date`.
    pub type_: &'static str,
    /// JSONPath with a leading dot.
    pub json_path: &'static str,
    /// OpenAPI format, empty for none.
    pub format: &'static str,
}

/// One kind of the group; each has the status subresource and one version, which is served and stored.
pub struct Kind {
    /// Name of the kind, such as `Query`.
    pub kind: &'static str,
    /// Name in URLs, such as `queries`.
    pub plural: &'static str,
    /// Lower-case singular, such as `query`.
    pub singular: &'static str,
    /// The one version.
    pub version: &'static str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Columns of `kubectl get`; empty means the default, which is the age.
    pub columns: &'static [Column],
    schema: LazyLock<Value>,
}

impl Kind {
    /// The structural openAPIV3Schema, computed once.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// `ark.mckinsey.com/VERSION`.
    pub fn api_version(&self) -> String {
        format!("{}/{}", crate::GROUP, self.version)
    }

    /// Name of the list kind, such as `QueryList`.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
}

const fn text(name: &'static str, json_path: &'static str) -> Column {
    Column {
        name,
        type_: "string",
        json_path,
        format: "",
    }
}

const AGE: Column = Column {
    name: "Age",
    type_: "date",
    json_path: ".metadata.creationTimestamp",
    format: "",
};

/// The kind of that version with that plural name.
pub fn find(version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|k| k.version == version && k.plural == plural)
}

/// The kind of that name.
pub fn by_kind(kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.kind == kind)
}

/// All kinds of the group.
pub static KINDS: [Kind; 11] = [
    Kind {
        kind: "A2AServer",
        plural: "a2aservers",
        singular: "a2aserver",
        version: V1PREALPHA1,
        namespaced: true,
        columns: &[
            text("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            text(
                "Discovering",
                ".status.conditions[?(@.type=='Discovering')].status",
            ),
            text("Address", ".status.lastResolvedAddress"),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<a2a_server::A2AServerSpec, a2a_server::A2AServerStatus>(
                "A server whose agents become Agent objects.",
            )
        }),
    },
    Kind {
        kind: "A2ATask",
        plural: "a2atasks",
        singular: "a2atask",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text("Query", ".spec.queryRef.name"),
            text("Agent", ".spec.agentRef.name"),
            text("Phase", ".status.phase"),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<a2a_task::A2ATaskSpec, a2a_task::A2ATaskStatus>(
                "A task at a remote agent, or a decision that a human is asked for.",
            )
        }),
    },
    Kind {
        kind: "Agent",
        plural: "agents",
        singular: "agent",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text("Model", ".spec.modelRef.name"),
            text(
                "Available",
                ".status.conditions[?(@.type==\"Available\")].status",
            ),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<agent::AgentSpec, agent::AgentStatus>(
                "A prompt, a model and the tools it may call.",
            )
        }),
    },
    Kind {
        kind: "ArkConfig",
        plural: "arkconfigs",
        singular: "arkconfig",
        version: V1ALPHA1,
        namespaced: false,
        columns: &[text("QueryTTL", ".spec.queryTTL"), AGE],
        schema: LazyLock::new(|| {
            of_kind::<ark_config::ArkConfigSpec, ark_config::ArkConfigStatus>(
                "Settings of the whole installation; the one object is named default.",
            )
        }),
    },
    Kind {
        kind: "ExecutionEngine",
        plural: "executionengines",
        singular: "executionengine",
        version: V1PREALPHA1,
        namespaced: true,
        columns: &[
            text("Phase", ".status.phase"),
            text("Address", ".status.lastResolvedAddress"),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<execution_engine::ExecutionEngineSpec, execution_engine::ExecutionEngineStatus>(
                "A server that runs agents.",
            )
        }),
    },
    Kind {
        kind: "MCPServer",
        plural: "mcpservers",
        singular: "mcpserver",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text(
                "Available",
                ".status.conditions[?(@.type=='Available')].status",
            ),
            text(
                "Discovering",
                ".status.conditions[?(@.type=='Discovering')].status",
            ),
            Column {
                name: "Tools",
                type_: "integer",
                json_path: ".status.toolCount",
                format: "",
            },
            text("Auth", ".status.authorization.state"),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<mcp_server::MCPServerSpec, mcp_server::MCPServerStatus>(
                "A server whose tools become Tool objects.",
            )
        }),
    },
    Kind {
        kind: "Memory",
        plural: "memories",
        singular: "memory",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text("Phase", ".status.phase"),
            text("Address", ".status.lastResolvedAddress"),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<memory::MemorySpec, memory::MemoryStatus>("A store of conversations.")
        }),
    },
    Kind {
        kind: "Model",
        plural: "models",
        singular: "model",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text("Type", ".spec.type"),
            text("Provider", ".spec.provider"),
            text("Model", ".spec.model.value"),
            text(
                "Available",
                ".status.conditions[?(@.type==\"ModelAvailable\")].status",
            ),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<model::ModelSpec, model::ModelStatus>(
                "A language model behind a provider's API.",
            )
        }),
    },
    Kind {
        kind: "Query",
        plural: "queries",
        singular: "query",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text("Type", ".spec.type"),
            text("Phase", ".status.phase"),
            text("Duration", ".status.duration"),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<query::QuerySpec, query::QueryStatus>(
                "One question to an Agent, Team, Model or Tool, and its answer.",
            )
        }),
    },
    Kind {
        kind: "Team",
        plural: "teams",
        singular: "team",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[
            text("Strategy", ".spec.strategy"),
            text(
                "Available",
                ".status.conditions[?(@.type==\"Available\")].status",
            ),
            AGE,
        ],
        schema: LazyLock::new(|| {
            of_kind::<team::TeamSpec, team::TeamStatus>("Several agents that work on one question.")
        }),
    },
    Kind {
        kind: "Tool",
        plural: "tools",
        singular: "tool",
        version: V1ALPHA1,
        namespaced: true,
        columns: &[],
        schema: LazyLock::new(|| {
            of_kind::<tool::ToolSpec, tool::ToolStatus>("Something a model may call.")
        }),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use kube::Resource;
    use serde_json::json;

    fn agrees<R: Resource<DynamicType = ()>>() {
        let kind = by_kind(&R::kind(&())).unwrap();
        assert_eq!(R::group(&()), crate::GROUP);
        assert_eq!(R::version(&()), kind.version);
        assert_eq!(R::plural(&()), kind.plural);
        assert!(find(kind.version, kind.plural).is_some());
    }

    #[test]
    fn typed_kinds_agree_with_the_table() {
        agrees::<crate::A2AServer>();
        agrees::<crate::A2ATask>();
        agrees::<crate::Agent>();
        agrees::<crate::ArkConfig>();
        agrees::<crate::ExecutionEngine>();
        agrees::<crate::MCPServer>();
        agrees::<crate::Memory>();
        agrees::<crate::Model>();
        agrees::<crate::Query>();
        agrees::<crate::Team>();
        agrees::<crate::Tool>();
    }

    #[test]
    fn schemas_hold_nothing_that_kubernetes_refuses() {
        fn walk(schema: &Value, path: &str) {
            for (key, value) in schema.as_object().into_iter().flatten() {
                let path = format!("{path}/{key}");
                let refused = ["$ref", "$defs", "anyOf", "oneOf", "title", "$schema"];
                assert!(!refused.contains(&key.as_str()), "{path}");
                match key.as_str() {
                    "properties" => value
                        .as_object()
                        .unwrap()
                        .iter()
                        .for_each(|(name, schema)| {
                            walk(schema, &format!("{path}/{name}"));
                        }),
                    "items" | "additionalProperties" => walk(value, &path),
                    "type" => assert!(value.is_string(), "{path}"),
                    "default" | "enum" => assert!(!value.is_null(), "{path}"),
                    _ => {}
                }
            }
        }
        KINDS.iter().for_each(|kind| walk(kind.schema(), kind.kind));
    }

    #[test]
    fn an_object_without_spec_decodes() {
        let query: crate::Query = serde_json::from_value(json!({
            "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query",
            "metadata": { "name": "q" },
        }))
        .unwrap();
        assert_eq!(query.metadata.name.as_deref(), Some("q"));
        assert_eq!(query.phase(), "pending");
    }

    #[test]
    fn debug_output_holds_no_credentials() {
        let model: crate::Model = serde_json::from_value(json!({
            "metadata": {},
            "spec": { "config": { "openai": {
                "apiKey": { "value": "hunter2" },
                "headers": [{ "name": "h", "value": { "value": "hunter2" } }],
            } } },
        }))
        .unwrap();
        let config = model.spec.config.openai.as_ref().unwrap();
        assert_eq!(config.api_key.value.as_deref(), Some("hunter2"));
        assert!(!format!("{model:?}").contains("hunter2"));
    }
}
