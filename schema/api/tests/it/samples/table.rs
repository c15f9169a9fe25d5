//! What becomes of each object of Ark's sample manifests.

/// One object of a sample file, and what becomes of it.
pub(crate) struct Row {
    pub(crate) file: &'static str,
    pub(crate) object: &'static str,
    /// Start of the one error; empty when the object is accepted.
    pub(crate) rejected: &'static str,
    /// Fields that are dropped because the kind does not have them.
    pub(crate) unknown: &'static [&'static str],
    /// How many warnings the user sees.
    pub(crate) warnings: usize,
    #[allow(dead_code, reason = "the table is read by people, too")]
    why: &'static str,
}

const fn accepted(file: &'static str, object: &'static str, why: &'static str) -> Row {
    Row {
        file,
        object,
        rejected: "",
        unknown: &[],
        warnings: 0,
        why,
    }
}

/// Accepted with the warning that a deprecated form was migrated.
const fn migrated(file: &'static str, object: &'static str, why: &'static str) -> Row {
    Row {
        file,
        object,
        rejected: "",
        unknown: &[],
        warnings: 1,
        why,
    }
}

const fn rejected(
    file: &'static str,
    object: &'static str,
    rejected: &'static str,
    why: &'static str,
) -> Row {
    Row {
        file,
        object,
        rejected,
        unknown: &[],
        warnings: 0,
        why,
    }
}

/// Queries of before 0.1.50: their lists of targets or selectors are pruned.
const fn outdated(
    file: &'static str,
    object: &'static str,
    unknown: &'static [&'static str],
) -> Row {
    Row {
        file,
        object,
        rejected: "spec.target: Required value: name who is to answer",
        unknown,
        warnings: 0,
        why: "the lists were removed in 0.1.50, so there is neither target nor selector left",
    }
}

const NAME_IS_NO_BUILTIN: &str = "a builtin Tool is dispatched by its own name, so that must be \
                                  noop or terminate";
const PROVIDER_IN_TYPE: &str = "the provider stands in spec.type: migrated with a warning";
const PLAIN: &str = "nothing to object to";
const NO_LOOK_UP: &str = "models and tools of an Agent may come later";
const TARGET_EXISTS: &str = "the target is one of the samples";
const MEMBERS_EXIST: &str = "every member is one of the sample agents";
const NO_SUCH_TARGET: &str = "no sample defines the target, and Ark wants it to exist";

pub(crate) const TABLE: &[Row] = &[
    accepted(
        "models/bedrock-api-key.yaml",
        "Model/bedrock-api-key",
        "the reference in bedrock's apiKey is not looked up",
    ),
    accepted(
        "models/claude.yaml",
        "Model/claude",
        "its Secret is in the same file",
    ),
    migrated("models/default.yaml", "Model/default", PROVIDER_IN_TYPE),
    migrated("models/gemini.yaml", "Model/gemini", PROVIDER_IN_TYPE),
    Row {
        file: "models/local-ollama.yaml",
        object: "Model/qwen3b-local",
        rejected: "spec.config.openai.baseUrl: Invalid value: \
                   \"http://host.docker.internal:11434/v1\": the base URL must use https",
        unknown: &[],
        warnings: 1,
        why: "plain http outside the cluster; --model-url-policy local accepts it",
    },
    migrated(
        "models/model-with-properties.yaml",
        "Model/azure-with-properties",
        PROVIDER_IN_TYPE,
    ),
    migrated(
        "models/model-with-properties.yaml",
        "Model/openai-with-properties",
        PROVIDER_IN_TYPE,
    ),
    migrated(
        "models/model-with-properties.yaml",
        "Model/bedrock-with-properties",
        "as the others; bedrock needs no credentials, it may use the machine's",
    ),
    accepted("agents/amazed.yaml", "Agent/amazed", PLAIN),
    accepted("agents/blog.yaml", "Agent/blog", NO_LOOK_UP),
    accepted("agents/filesystem.yaml", "Agent/filesystem", NO_LOOK_UP),
    accepted(
        "agents/hitl-agent.yaml",
        "Agent/hitl-agent",
        "the same tool twice is no error",
    ),
    accepted(
        "agents/json-output-agent.yaml",
        "Agent/json-output-agent",
        NO_LOOK_UP,
    ),
    accepted(
        "agents/location.yaml",
        "Agent/location",
        "terminate is built in",
    ),
    accepted("agents/math.yaml", "Agent/math", PLAIN),
    accepted(
        "agents/partial-tool-calling.yaml",
        "Agent/partial-tool-calling",
        "names of partial tools are not looked up",
    ),
    accepted(
        "agents/technical-expert.yaml",
        "Agent/technical-expert",
        PLAIN,
    ),
    accepted(
        "agents/templated.yaml",
        "Agent/templated",
        "its ConfigMap is in agents/shared.yaml, which must be applied first",
    ),
    accepted("agents/weather.yaml", "Agent/weather", NO_LOOK_UP),
    accepted("tools/create-post.yaml", "Tool/create-post", PLAIN),
    rejected(
        "tools/delete-database.yaml",
        "Tool/delete-database",
        "metadata.name: Unsupported value: \"delete-database\"",
        NAME_IS_NO_BUILTIN,
    ),
    rejected(
        "tools/deploy-application.yaml",
        "Tool/deploy-application",
        "metadata.name: Unsupported value: \"deploy-application\"",
        NAME_IS_NO_BUILTIN,
    ),
    accepted("tools/get-coordinates.yaml", "Tool/get-coordinates", PLAIN),
    rejected(
        "tools/get-deployment-status.yaml",
        "Tool/get-deployment-status",
        "metadata.name: Unsupported value: \"get-deployment-status\"",
        NAME_IS_NO_BUILTIN,
    ),
    accepted(
        "tools/get-forecast.yaml",
        "Tool/get-forecast",
        "placeholders in the URL's path are legal",
    ),
    accepted("tools/noop.yaml", "Tool/noop", PLAIN),
    accepted("tools/terminate.yaml", "Tool/terminate", PLAIN),
    accepted("queries/blog.yaml", "Query/blog", TARGET_EXISTS),
    accepted(
        "queries/hitl-direct-write.yaml",
        "Query/hitl-direct-write",
        TARGET_EXISTS,
    ),
    accepted(
        "queries/hitl-file-write-confirm.yaml",
        "Query/hitl-file-write-confirm",
        "the Memory is not looked up",
    ),
    accepted(
        "queries/hitl-file-write.yaml",
        "Query/hitl-file-write",
        TARGET_EXISTS,
    ),
    accepted(
        "queries/hitl-nested-write.yaml",
        "Query/hitl-nested-write",
        TARGET_EXISTS,
    ),
    accepted(
        "queries/hitl-query-confirm.yaml",
        "Query/hitl-query-confirm",
        "the Memory is not looked up",
    ),
    accepted("queries/hitl-query.yaml", "Query/hitl-query", TARGET_EXISTS),
    accepted(
        "queries/hitl-test-approval.yaml",
        "Query/hitl-test-approval",
        TARGET_EXISTS,
    ),
    accepted("queries/math.yaml", "Query/math", TARGET_EXISTS),
    accepted(
        "queries/memory-followup.yaml",
        "Query/memory-followup",
        TARGET_EXISTS,
    ),
    rejected(
        "queries/memory.yaml",
        "Query/memory",
        "spec.target: Not found: agent \"memory-test-agent\" does not exist",
        NO_SUCH_TARGET,
    ),
    rejected(
        "queries/query-conversation-messages.yaml",
        "Query/conversation-followup",
        "spec.target: Not found: agent \"sample-agent\" does not exist",
        NO_SUCH_TARGET,
    ),
    rejected(
        "queries/query-customer-specific.yaml",
        "Query/customer-onboarding-query",
        "spec.target: Not found: team \"customer-success-team\" does not exist",
        NO_SUCH_TARGET,
    ),
    outdated(
        "queries/query-model.yaml",
        "Query/sample-model-query",
        &["spec.targets"],
    ),
    accepted(
        "queries/query-partial-tool-calling.yaml",
        "Query/query-partial-tool-calling",
        TARGET_EXISTS,
    ),
    rejected(
        "queries/query-resolution-flow.yaml",
        "Query/query-resolution-flow",
        "spec.target: Not found: agent \"payment-processor\" does not exist",
        NO_SUCH_TARGET,
    ),
    accepted(
        "queries/query-selectors-only.yaml",
        "Query/query-selector-only",
        "a selector is evaluated when the query runs, not before",
    ),
    rejected(
        "queries/query-simple.yaml",
        "Query/query-simple",
        "spec.target: Not found: agent \"sample-agent\" does not exist",
        NO_SUCH_TARGET,
    ),
    outdated(
        "queries/query-streaming.yaml",
        "Query/query-streaming-example",
        &["spec.targets"],
    ),
    outdated(
        "queries/query-with-label-selectors.yaml",
        "Query/query-with-label-selectors",
        &["spec.selectors", "spec.targets"],
    ),
    accepted(
        "queries/query-with-mcp-settings-in-annotations.yaml",
        "Agent/query-with-mcp-settings-in-annotations",
        NO_LOOK_UP,
    ),
    outdated(
        "queries/query-with-mcp-settings-in-annotations.yaml",
        "Query/query-with-mcp-settings-in-annotations",
        &["spec.targets"],
    ),
    accepted(
        "queries/query-with-parameter-reference.yaml",
        "Agent/query-with-parameter-reference",
        "a queryParameterRef is resolved at run time",
    ),
    accepted(
        "queries/query-with-parameter-reference.yaml",
        "Query/query-with-parameter-reference",
        TARGET_EXISTS,
    ),
    rejected(
        "queries/query-with-parameters.yaml",
        "Query/templated-analysis-query",
        "spec.target: Not found: agent \"financial-analyst\" does not exist",
        NO_SUCH_TARGET,
    ),
    accepted(
        "queries/query-with-selectors.yaml",
        "Query/query-with-label-selector",
        "a selector is evaluated when the query runs, not before",
    ),
    rejected(
        "queries/query-with-selectors.yaml",
        "Query/query-mixed-targets-and-selector",
        "spec.target: Not found: agent \"system-monitor\" does not exist",
        "target and selector together are legal, but the target must exist",
    ),
    accepted(
        "queries/query-with-service-account.yaml",
        "Agent/data-analyst",
        "noop is built in",
    ),
    accepted(
        "queries/query-with-service-account.yaml",
        "Query/sample-query-with-sa",
        "the service account is not looked up at admission",
    ),
    accepted(
        "queries/query-with-timeout.yaml",
        "Query/long-running-analysis",
        TARGET_EXISTS,
    ),
    outdated(
        "queries/query-with-timeout.yaml",
        "Query/quick-summary",
        &["spec.targets"],
    ),
    accepted("queries/weather.yaml", "Query/weather-query", TARGET_EXISTS),
    accepted(
        "agents-as-tools/coordinator-example.yaml",
        "Agent/research-agent",
        PLAIN,
    ),
    accepted(
        "agents-as-tools/coordinator-example.yaml",
        "Agent/analysis-agent",
        PLAIN,
    ),
    accepted(
        "agents-as-tools/coordinator-example.yaml",
        "Tool/call-research-agent",
        "the agent behind a Tool is not looked up",
    ),
    accepted(
        "agents-as-tools/coordinator-example.yaml",
        "Agent/coordinator-agent",
        NO_LOOK_UP,
    ),
    accepted(
        "arkconfig.yaml",
        "ArkConfig/default",
        "the one name that an ArkConfig may have",
    ),
    accepted(
        "mcp/custom-mcp-service-ref.yaml",
        "MCPServer/simple-calculator-remote-sse-sr",
        "a Service is not looked up",
    ),
    accepted(
        "mcp/custom-mcp.yaml",
        "MCPServer/simple-calculator-remote-http",
        PLAIN,
    ),
    accepted(
        "mcp/custom-mcp.yaml",
        "MCPServer/simple-calculator-remote-sse",
        PLAIN,
    ),
    accepted(
        "mcp/github-remote-mcp.yaml",
        "MCPServer/github-remote-mcp",
        "the Secret of a header is not looked up",
    ),
    accepted(
        "mcp/github-remote.yaml",
        "MCPServer/github-remote",
        "the Secret of a header is not looked up",
    ),
    migrated(
        "quickstart/default-model.yaml",
        "Model/default",
        PROVIDER_IN_TYPE,
    ),
    migrated(
        "quickstart/openai-model.yaml",
        "Model/default",
        PROVIDER_IN_TYPE,
    ),
    accepted("quickstart/filesys.yaml", "Tool/weather-report", PLAIN),
    accepted("quickstart/filesys.yaml", "Agent/agent-fetcher", NO_LOOK_UP),
    accepted("quickstart/filesys.yaml", "Agent/agent-filesys", NO_LOOK_UP),
    accepted(
        "quickstart/filesys.yaml",
        "Agent/agent-filesys-review",
        NO_LOOK_UP,
    ),
    accepted(
        "quickstart/filesys.yaml",
        "Team/team-weather-filesys",
        MEMBERS_EXIST,
    ),
    accepted(
        "quickstart/filesys.yaml",
        "Query/query-fetcher",
        TARGET_EXISTS,
    ),
    accepted(
        "teams/selector-strategy.yaml",
        "Agent/research-analyst",
        NO_LOOK_UP,
    ),
    accepted(
        "teams/selector-strategy.yaml",
        "Agent/strategy-consultant",
        NO_LOOK_UP,
    ),
    accepted(
        "teams/selector-strategy.yaml",
        "Agent/project-manager",
        NO_LOOK_UP,
    ),
    accepted(
        "teams/selector-strategy.yaml",
        "Agent/technical-expert",
        NO_LOOK_UP,
    ),
    accepted(
        "teams/selector-strategy.yaml",
        "Team/consulting-team",
        "its selector agent and its bound are there",
    ),
    outdated(
        "teams/selector-strategy.yaml",
        "Query/test-selector-query",
        &["spec.targets"],
    ),
    accepted(
        "teams/sequential-with-loops.yaml",
        "Agent/agent-rr",
        NO_LOOK_UP,
    ),
    accepted(
        "teams/sequential-with-loops.yaml",
        "Team/team-rr",
        MEMBERS_EXIST,
    ),
    accepted(
        "teams/sequential-with-loops.yaml",
        "Query/query-rr",
        TARGET_EXISTS,
    ),
    accepted("teams/sequential.yaml", "Agent/agent-seq", NO_LOOK_UP),
    accepted("teams/sequential.yaml", "Team/team-seq", MEMBERS_EXIST),
    accepted("teams/sequential.yaml", "Query/query-seq", TARGET_EXISTS),
    accepted(
        "walkthrough/agents/analyst-agent.yaml",
        "Agent/analyst",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/agents/creator-agent.yaml",
        "Agent/creator",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/agents/researcher-agent.yaml",
        "Agent/researcher",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/agents/tests/creator-agent-no-mcp.yaml",
        "Agent/creator",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/agents/tests/queries/analyst-query.yaml",
        "Query/analyst-test-query",
        TARGET_EXISTS,
    ),
    accepted(
        "walkthrough/agents/tests/queries/creator-query.yaml",
        "Query/creator-test-query",
        TARGET_EXISTS,
    ),
    accepted(
        "walkthrough/agents/tests/queries/researcher-query.yaml",
        "Query/researcher-test-query",
        TARGET_EXISTS,
    ),
    accepted(
        "walkthrough/research-query.yaml",
        "Query/research-query",
        TARGET_EXISTS,
    ),
    accepted(
        "walkthrough/teams/research-team.yaml",
        "Team/research-analysis-team",
        MEMBERS_EXIST,
    ),
    rejected(
        "walkthrough/teams/tests/test-team.yaml",
        "Team/research-analysis-team-test",
        "spec.maxTurns: Forbidden: only for teams that loop",
        "maxTurns bounds loops, of which there are none",
    ),
    migrated(
        "walkthrough/tests/manifests/model/a02-model.yaml",
        "Model/default",
        PROVIDER_IN_TYPE,
    ),
    accepted(
        "walkthrough/tests/manifests/resources/a01-tool-web-search.yaml",
        "Tool/web-search",
        PLAIN,
    ),
    accepted(
        "walkthrough/tests/manifests/resources/a02-agent-analyst.yaml",
        "Agent/analyst",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/tests/manifests/resources/a03-agent-creator.yaml",
        "Agent/creator",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/tests/manifests/resources/a04-agent-researcher.yaml",
        "Agent/researcher",
        NO_LOOK_UP,
    ),
    accepted(
        "walkthrough/tests/manifests/resources/a05-team-research-analysis.yaml",
        "Team/research-analysis-team",
        MEMBERS_EXIST,
    ),
    accepted(
        "walkthrough/tests/manifests/test-query.yaml",
        "Query/test-research-workflow",
        TARGET_EXISTS,
    ),
    accepted(
        "walkthrough/tools/tests/queries/web-search-query.yaml",
        "Query/web-search-tool-test",
        TARGET_EXISTS,
    ),
    accepted(
        "walkthrough/tools/web-search-tool.yaml",
        "Tool/web-search",
        PLAIN,
    ),
];

/// What is not of Ark's group: kinds by file.
pub(crate) const OTHERS: &[(&str, &str)] = &[
    ("agents/shared.yaml", "ConfigMap"),
    ("models/claude.yaml", "Secret"),
    ("models/gemini.yaml", "Secret"),
    ("queries/query-customer-specific.yaml", "ConfigMap"),
    ("queries/query-customer-specific.yaml", "Secret"),
    ("queries/query-resolution-flow.yaml", "ConfigMap"),
    ("queries/query-resolution-flow.yaml", "Secret"),
    ("queries/query-with-parameters.yaml", "ConfigMap"),
    ("queries/query-with-parameters.yaml", "Secret"),
    ("queries/query-with-service-account.yaml", "ServiceAccount"),
    ("quickstart/default-model.yaml", "Secret"),
    ("quickstart/openai-model.yaml", "Secret"),
    (
        "walkthrough/agents/tests/chainsaw-analyst-test.yaml",
        "Test",
    ),
    (
        "walkthrough/agents/tests/chainsaw-creator-test.yaml",
        "Test",
    ),
    (
        "walkthrough/agents/tests/chainsaw-researcher-test.yaml",
        "Test",
    ),
    ("walkthrough/agents/tests/chainsaw-test.yaml", "Test"),
    ("walkthrough/kustomization.yaml", "Kustomization"),
    ("walkthrough/teams/tests/chainsaw-test.yaml", "Test"),
    ("walkthrough/tests/chainsaw-test.yaml", "Test"),
    (
        "walkthrough/tests/manifests/model/a01-secret.yaml",
        "Secret",
    ),
    (
        "walkthrough/tests/manifests/rbac/chainsaw-permissions.yaml",
        "RoleBinding",
    ),
    ("walkthrough/tools/tests/chainsaw-test.yaml", "Test"),
];
