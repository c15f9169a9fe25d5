use serde_json::json;

use super::*;
use crate::{Source, ToolCall};

/// Objects of one namespace, as a server would have them.
#[derive(Default)]
struct Cluster(Found);

impl Cluster {
    fn with(mut self, kind: Kind, name: &str, object: Object) -> Self {
        self.0.insert(key(kind, name), Some(object));
        self
    }

    fn agent(self, name: &str, value: Value) -> Self {
        self.with(Kind::Agent, name, Object::Agent(typed(name, value)))
    }

    fn model(self, name: &str, value: Value) -> Self {
        self.with(Kind::Model, name, Object::Model(typed(name, value)))
    }

    fn tool(self, name: &str, value: Value) -> Self {
        self.with(Kind::Tool, name, Object::Tool(typed(name, value)))
    }

    fn secret(self, name: &str, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| key.to_string()).collect();
        self.with(Kind::Secret, name, Object::Secret(Arc::new(keys)))
    }

    fn config_map(self, name: &str, key: &str, value: &str) -> Self {
        let data = [(key.to_string(), value.to_string())].into();
        self.with(Kind::ConfigMap, name, Object::ConfigMap(Arc::new(data)))
    }

    /// Answers each round's needs until something else comes out; says how many rounds it took.
    fn rounds(&self, query: &Query, lenient_secrets: bool) -> (Resolution, usize) {
        let options = Options {
            lenient_secrets,
            ..Options::default()
        };
        let mut found = Found::new();
        for round in 1..10 {
            match resolve(query, &found, options) {
                Resolution::Needs(needs) => {
                    assert!(!needs.is_empty());
                    for need in needs {
                        let object = self.0.get(&need).cloned().flatten();
                        assert!(
                            found.insert(need.clone(), object).is_none(),
                            "{need} was asked for twice"
                        );
                    }
                }
                other => return (other, round),
            }
        }
        panic!("it asks for ever");
    }

    fn resolved(&self, query: &Query) -> Resolved {
        match self.rounds(query, false).0 {
            Resolution::Resolved(resolved) => *resolved,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, query: &Query) -> (Class, String) {
        match self.rounds(query, false).0 {
            Resolution::Unplannable(why) => (why.class, why.sentence),
            other => panic!("{other:?}"),
        }
    }
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: "default".into(),
        name: name.into(),
    }
}

// Fields of the object at top level are its spec, except for `metadata`.
fn typed<T: serde::de::DeserializeOwned>(name: &str, spec: Value) -> Arc<T> {
    Arc::new(object(name, spec))
}

fn object<T: serde::de::DeserializeOwned>(name: &str, mut spec: Value) -> T {
    let mut metadata = spec
        .as_object_mut()
        .unwrap()
        .remove("metadata")
        .unwrap_or(json!({}));
    metadata["name"] = name.into();
    metadata["namespace"] = "default".into();
    let kind = std::any::type_name::<T>().rsplit("::").next().unwrap();
    let value = json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    serde_json::from_value(value).unwrap()
}

fn query(spec: Value) -> Query {
    object("q", spec)
}

fn openai() -> Value {
    json!({"provider": "openai", "model": {"value": "gpt"}, "config": {"openai": {
        "baseUrl": {"value": "https://api.example.com/v1"},
        "apiKey": {"valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}},
    }}})
}

fn weather() -> Value {
    json!({"type": "http", "description": "Weather", "http": {"url": "https://w.example.com/{city}"},
           "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
                           "required": ["unit"]}})
}

fn cluster() -> Cluster {
    Cluster::default()
        .model("default", openai())
        .secret("key", &["token"])
        .agent("writer", json!({"prompt": "You write."}))
        .tool("weather", weather())
}

fn ask_agent(name: &str) -> Query {
    query(json!({"input": "hi", "target": {"type": "agent", "name": name}}))
}

#[test]
fn an_agent_takes_three_rounds_of_looking() {
    let cluster = cluster().config_map("tone", "text", "kindly").agent(
        "helper",
        json!({"prompt": "Answer {{.tone}}, {{.who}}.", "tools": [{"type": "http", "name": "weather"}],
               "parameters": [
                   {"name": "tone", "valueFrom": {"configMapKeyRef": {"name": "tone", "key": "text"}}},
                   {"name": "who", "valueFrom": {"queryParameterRef": {"name": "user"}}}]}),
    );
    let query = query(
        json!({"input": "hi {{.user}}", "target": {"type": "agent", "name": "helper"},
        "parameters": [{"name": "user", "value": "Ada"}], "conversationId": "c"}),
    );
    let (resolution, rounds) = cluster.rounds(&query, false);
    let Resolution::Resolved(resolved) = resolution else {
        panic!("{resolution:?}")
    };
    assert_eq!(rounds, 4, "three rounds of needs, then the answer");
    let Target::Agent(agent) = &resolved.plan.target else {
        panic!()
    };
    assert_eq!(agent.parameters[0].value, Source::Literal("kindly".into()));
    assert_eq!(
        agent.parameters[1].value,
        Source::QueryParameter("user".into())
    );
    assert_eq!(agent.max_turns, 50);
    assert_eq!(agent.tools[0].name, "weather");
    assert!(agent.tools[0].repeatable, "it is an HTTP GET");
    let secret = Source::Secret {
        namespace: "default".into(),
        name: "key".into(),
        key: "token".into(),
    };
    assert_eq!(agent.model.api_key, Some(secret));
    assert_eq!(resolved.scope, agent.model.scope);
    assert_ne!(resolved.scope, 0);
    assert_eq!(resolved.input.text, "hi {{.user}}");
    assert_eq!(resolved.input.parameters.len(), 1);
    assert_eq!(resolved.input.conversation_id.as_deref(), Some("c"));
    assert_eq!(
        resolved.prompt_secrets,
        [],
        "the key goes to the provider, not into a prompt"
    );
}

#[test]
fn plans_of_two_queries_to_one_agent_are_the_same_text() {
    let cluster = cluster();
    let mut other = ask_agent("writer");
    other.metadata.name = Some("other".into());
    other.spec.input = json!("something else");
    let text = |query: &Query| serde_json::to_string(&cluster.resolved(query).plan).unwrap();
    assert_eq!(text(&ask_agent("writer")), text(&other));
}

#[test]
fn models_and_tools_are_targets_too() {
    let cluster = cluster().tool(
        "terminate",
        json!({"type": "builtin", "builtin": {"name": "terminate"}}),
    );
    let model = cluster.resolved(&query(
        json!({"input": "x", "target": {"type": "model", "name": "default"}}),
    ));
    assert!(matches!(&model.plan.target, Target::Model(plan) if plan.provider == "openai"));
    let tool = cluster.resolved(&query(
        json!({"input": "{}", "target": {"type": "tool", "name": "terminate"}}),
    ));
    assert!(matches!(&tool.plan.target, Target::Tool(plan) if plan.call == ToolCall::Terminate));
    assert_eq!(tool.scope, 0);
}

#[test]
fn what_a_selector_found_is_the_target() {
    let labels = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]});
    let mut asked = query(json!({"input": "x", "selector": labels}));
    let selector = selector(&asked).unwrap().unwrap();
    assert_eq!(selector.to_string(), "a in (b),c");
    select(&mut asked, Kind::Agent, "writer");
    let resolved = cluster().resolved(&asked);
    assert!(matches!(&resolved.plan.target, Target::Agent(agent) if agent.name == "writer"));
    assert_eq!(resolved.input.target_type, "agent");
    assert_eq!(resolved.input.target_name, "writer");

    assert_eq!(super::selector(&asked), Ok(None), "a named target wins");
    let odd = json!({"matchExpressions": [{"key": "c", "operator": "Near"}]});
    let odd = super::selector(&query(json!({"input": "x", "selector": odd})));
    assert!(
        odd.unwrap_err()
            .sentence
            .starts_with("Query default/q: spec.selector: ")
    );
}

#[test]
fn each_provider_has_its_block() {
    let from_secret = json!({"valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}});
    let plan = |spec: Value| {
        let cluster = Cluster::default()
            .model("m", spec)
            .secret("key", &["token"]);
        let asked = query(json!({"input": "x", "target": {"type": "model", "name": "m"}}));
        match cluster.resolved(&asked).plan.target {
            Target::Model(plan) => plan,
            other => panic!("{other:?}"),
        }
    };
    let literal = |text: &str| Source::Literal(text.to_owned());
    let secret = Source::Secret {
        namespace: "default".into(),
        name: "key".into(),
        key: "token".into(),
    };
    let azure = plan(
        json!({"provider": "azure", "model": {"value": "gpt"}, "config": {"azure": {
        "baseUrl": {"value": "https://x.openai.azure.com"}, "apiVersion": {"value": "2024-12-01-preview"},
        "apiKey": {"value": "of before 0.1.50"}, "auth": {"apiKey": from_secret},
        "headers": [{"name": "X-A", "value": {"value": ""}}], "properties": {"seed": {"value": "7"}}}}}),
    );
    assert_eq!(
        (azure.provider.as_str(), &azure.api_key),
        ("azure", &Some(secret.clone()))
    );
    assert_eq!(azure.api_version, Some(literal("2024-12-01-preview")));
    assert_eq!(azure.headers[0].value, literal(""));
    assert_eq!(
        (
            azure.properties[0].name.as_str(),
            &azure.properties[0].value
        ),
        ("seed", &literal("7"))
    );
    let legacy = plan(
        json!({"type": "azure", "provider": "", "model": {"value": "gpt"}, "config": {"azure": {
        "baseUrl": {"value": "https://x.openai.azure.com"}, "apiKey": from_secret}}}),
    );
    assert_eq!(
        legacy.scope, azure.scope,
        "the same endpoint, key and model are one quota"
    );
    assert_eq!(
        (legacy.provider.as_str(), legacy.api_version),
        ("azure", None)
    );
    let anthropic = plan(
        json!({"provider": "anthropic", "model": {"value": "claude"}, "config": {"anthropic": {
        "baseUrl": {"value": "https://api.anthropic.com"}, "apiKey": from_secret, "version": {"value": "2023-06-01"}}}}),
    );
    assert_eq!(
        (anthropic.provider.as_str(), anthropic.api_key),
        ("anthropic", Some(secret))
    );
    assert_eq!(anthropic.api_version, Some(literal("2023-06-01")));
}

#[test]
fn refusals_name_object_field_and_remedy() {
    let target = |type_: &str, name: &str| {
        query(json!({"input": "x", "target": {"type": type_, "name": name}}))
    };
    let with_parameter = |parameter: Value| {
        query(
            json!({"input": "{{.p}}", "target": {"type": "agent", "name": "writer"}, "parameters": [parameter]}),
        )
    };
    let cluster = cluster()
        .agent("far", json!({"modelRef": {"name": "gone"}}))
        .agent("broken", json!({"prompt": "a {{.x", "parameters": [{"name": "x", "value": "1"}]}))
        .agent("loops", json!({"prompt": "{{range .x}}", "parameters": [{"name": "x", "value": "1"}]}))
        .agent("toolless", json!({"tools": [{"type": "http", "name": "gone"}]}))
        .agent("asks", json!({"tools": [{"type": "http", "name": "weather", "approval": {"required": true}}]}))
        .agent("needs", json!({"parameters": [{"name": "a", "valueFrom": {"queryParameterRef": {"name": "city"}}}]}))
        .agent("turns", json!({"metadata": {"annotations": {"ark.mckinsey.com/max-turns": "many"}}}))
        .agent("remote", json!({"executionEngine": {"name": "a2a"}}))
        .model("local", json!({"provider": "openai", "model": {"value": "m"}, "config": {"openai": {
            "baseUrl": {"value": "http://127.0.0.1/v1"}, "apiKey": {"value": "none"}}}}))
        .model("keyless", json!({"provider": "openai", "model": {"value": "m"}, "config": {"openai": {
            "baseUrl": {"value": "https://e.com"}, "apiKey": {"valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}}}}))
        .model("aws", json!({"provider": "bedrock", "model": {"value": "m"}, "config": {"bedrock": {}}}))
        .tool("mcp", json!({"type": "mcp"}));
    use Class::{Configuration, Template, Unsupported};
    let cases = [
        (
            query(json!({"input": "x"})),
            Configuration,
            "Query default/q: spec.target is missing",
        ),
        (
            query(json!({"input": "x", "selector": {}})),
            Configuration,
            "spec.selector matches no agent, team, model or tool in namespace default; label one",
        ),
        (target("team", "t"), Unsupported, "teams are not supported"),
        (
            target("agent", "gone"),
            Configuration,
            "spec.target names Agent default/gone, which does not exist; create it",
        ),
        (
            target("agent", "far"),
            Configuration,
            "Agent default/far: spec.modelRef names Model default/gone",
        ),
        (
            target("agent", "broken"),
            Template,
            "Agent default/broken: the template in spec.prompt cannot be used, at 1:3: unclosed action",
        ),
        (
            target("agent", "loops"),
            Template,
            "spec.prompt cannot be used, at 1:3: {{range}} has no {{end}}",
        ),
        (
            target("agent", "toolless"),
            Configuration,
            "Agent default/toolless: spec.tools[0] names Tool default/gone",
        ),
        (
            target("agent", "asks"),
            Unsupported,
            "spec.tools[0] (weather) asks a human",
        ),
        (
            target("agent", "needs"),
            Configuration,
            "reads the parameter \"city\" of the Query, which has only none",
        ),
        (
            target("agent", "turns"),
            Configuration,
            "max-turns is \"many\"; write a whole number",
        ),
        (
            target("agent", "remote"),
            Unsupported,
            "Agent default/remote runs on a remote A2A server",
        ),
        (
            target("model", "local"),
            Configuration,
            "Model default/local: spec.config.openai.baseUrl must use https",
        ),
        (
            target("model", "keyless"),
            Configuration,
            "Model default/keyless: spec.config.openai.apiKey reads key \"k\" of Secret default/no, which does not exist; \
          create it with: kubectl -n default create secret generic no --from-literal=k=VALUE",
        ),
        (
            target("model", "aws"),
            Unsupported,
            "bedrock is not supported",
        ),
        (
            target("tool", "mcp"),
            Unsupported,
            "tools of type mcp are not supported",
        ),
        (
            with_parameter(
                json!({"name": "p", "valueFrom": {"secretKeyRef": {"name": "key", "key": "other"}}}),
            ),
            Configuration,
            "spec.parameters[0] (p) reads key \"other\" of Secret default/key, which has no key \"other\", only token",
        ),
        (
            with_parameter(
                json!({"name": "p", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}),
            ),
            Configuration,
            "ConfigMap default/m, which does not exist",
        ),
        (
            with_parameter(json!({"name": "p"})),
            Configuration,
            "spec.parameters[0] (p) has no value",
        ),
        (
            query(
                json!({"input": "{{.p", "target": {"type": "agent", "name": "writer"}, "parameters": [{"name": "p", "value": "1"}]}),
            ),
            Template,
            "Query default/q: the template in spec.input cannot be used, at 1:1",
        ),
        (
            query(
                json!({"input": "x", "timeout": "soon", "target": {"type": "agent", "name": "writer"}}),
            ),
            Configuration,
            "Query default/q: spec.timeout: \"soon\" is not a duration",
        ),
    ];
    for (query, class, sentence) in cases {
        let (got_class, got) = cluster.refused(&query);
        assert!(got.contains(sentence), "{got}\nwants: {sentence}");
        assert_eq!(got_class, class, "{got}");
    }
}

#[test]
fn input_without_parameters_is_verbatim() {
    let mut query = ask_agent("writer");
    query.spec.input = json!("{{ braces");
    assert_eq!(cluster().resolved(&query).input.text, "{{ braces");
}

#[test]
fn secrets_of_prompts_are_named_and_stay_references() {
    let cluster = cluster().secret("name", &["first"]);
    let query = query(
        json!({"input": "{{.p}}", "target": {"type": "agent", "name": "writer"},
        "parameters": [{"name": "p", "valueFrom": {"secretKeyRef": {"name": "name", "key": "first"}}}]}),
    );
    let resolved = cluster.resolved(&query);
    assert_eq!(resolved.prompt_secrets, [("default".into(), "name".into())]);
    assert!(
        matches!(&resolved.input.parameters[0].value, Source::Secret { key, .. } if key == "first")
    );
}

#[test]
fn a_missing_credential_is_a_warning_when_nothing_reads_it() {
    let mut cluster = cluster();
    cluster.0.insert(key(Kind::Secret, "key"), None);
    let (Resolution::Resolved(resolved), _) = cluster.rounds(&ask_agent("writer"), true) else {
        panic!()
    };
    assert_eq!(resolved.input.warnings.len(), 1);
    assert!(
        resolved.input.warnings[0].contains("Secret default/key"),
        "{:?}",
        resolved.input.warnings
    );
    let (Resolution::Unplannable(_), _) = cluster.rounds(&ask_agent("writer"), false) else {
        panic!()
    };
}

#[test]
fn partial_arguments_are_hidden_from_the_model() {
    let cluster = cluster().agent(
        "partial",
        json!({"tools": [
            {"type": "http", "name": "old", "partial": {"name": "weather"}},
            {"type": "http", "name": "shown", "description": "Mine",
             "partial": {"name": "weather", "parameters": [{"name": "unit", "value": "{{.Query.unit}}"}]},
             "functions": [{"name": "jq", "value": ".t"}, {"name": "other", "value": "x"}]}]}),
    );
    let Target::Agent(agent) = cluster.resolved(&ask_agent("partial")).plan.target else {
        panic!()
    };
    let [tool] = agent.tools.as_slice() else {
        panic!("the later entry of one name counts: {:?}", agent.tools)
    };
    assert_eq!(
        tool.input_schema,
        json!({"type": "object", "properties": {"city": {"type": "string"}}})
    );
    assert_eq!(
        (tool.name.as_str(), tool.description.as_str()),
        ("weather", "Mine")
    );
    assert_eq!(
        tool.preset[0].value,
        Source::Literal("{{.Query.unit}}".into())
    );
    assert_eq!(tool.filters, [".t"]);
}

#[test]
fn overrides_of_the_query_win_by_name() {
    let header = |name: &str, value: &str| json!({"name": name, "value": {"value": value}});
    let mut labelled = openai();
    labelled["metadata"] = json!({"labels": {"tier": "gold"}});
    let cluster = cluster().model("default", labelled).agent(
        "sends",
        json!({"overrides": [{"resourceType": "model", "headers": [header("X-A", "agent"), header("X-B", "agent")]}]}),
    );
    let query = query(
        json!({"input": "x", "target": {"type": "agent", "name": "sends"}, "overrides": [
        {"resourceType": "model", "headers": [header("x-a", "query")], "labelSelector": {"matchLabels": {"tier": "gold"}}},
        {"resourceType": "model", "headers": [header("x-b", "no")], "labelSelector": {"matchLabels": {"tier": "iron"}}},
        {"resourceType": "mcpserver", "headers": [header("x-c", "no")]}]}),
    );
    let headers = cluster.resolved(&query).input.model_headers;
    let headers: Vec<_> = headers
        .iter()
        .map(|h| (h.name.as_str(), h.value.clone()))
        .collect();
    assert_eq!(
        headers,
        [
            ("x-a", Source::Literal("query".into())),
            ("X-B", Source::Literal("agent".into()))
        ]
    );
}

#[test]
fn services_become_urls() {
    let with_port = |port: Value| {
        cluster()
            .with(Kind::Service, "llm", Object::Service(Arc::new(vec![("web".into(), 80), ("api".into(), 8080)])))
            .model("default", json!({"provider": "openai", "model": {"value": "m"}, "config": {"openai": {
                "apiKey": {"value": "none"},
                "baseUrl": {"valueFrom": {"serviceRef": {"name": "llm", "port": port, "path": "/v1"}}}}}}))
    };
    let query = query(json!({"input": "x", "target": {"type": "model", "name": "default"}}));
    let url = |port: Value| match with_port(port).resolved(&query).plan.target {
        Target::Model(model) => model.base_url,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        url(json!("api")),
        Source::Literal("http://llm.default.svc.cluster.local:8080/v1".into())
    );
    assert_eq!(
        url(Value::Null),
        Source::Literal("http://llm.default.svc.cluster.local:80/v1".into())
    );
    assert!(
        with_port(json!("grpc"))
            .refused(&query)
            .1
            .contains("has only api, web")
    );
}

#[test]
fn what_may_be_repeated_is_read_only_idempotent_or_get() {
    let cases = [
        (
            json!({"type": "http", "http": {"url": "https://e.com"}}),
            true,
        ),
        (
            json!({"type": "http", "http": {"url": "https://e.com", "method": "POST"}}),
            false,
        ),
        (
            json!({"type": "http", "http": {"url": "https://e.com", "method": "POST"}, "annotations": {"idempotentHint": true}}),
            true,
        ),
        (
            json!({"type": "http", "http": {"url": "https://e.com", "method": "PUT"}, "annotations": {"readOnlyHint": true}}),
            true,
        ),
        (
            json!({"type": "http", "http": {"url": "https://e.com", "method": "DELETE"}, "annotations": {"readOnlyHint": false}}),
            false,
        ),
    ];
    for (tool, repeatable) in cases {
        let cluster = Cluster::default().tool("t", tool.clone());
        let query = query(json!({"input": "{}", "target": {"type": "tool", "name": "t"}}));
        let Target::Tool(plan) = cluster.resolved(&query).plan.target else {
            panic!()
        };
        assert_eq!(plan.repeatable, repeatable, "{tool}");
    }
}

#[test]
fn class_is_priority_then_slack() {
    let seconds = std::time::Duration::from_secs;
    assert_eq!(class(5, seconds(300)), 40 + 16 + 1);
    assert_eq!(class(9, seconds(60)), 40);
    assert_eq!(class(0, seconds(1801)), 40 + 36 + 3);
    let mut urgent = ask_agent("writer");
    urgent.metadata.annotations = Some([(PRIORITY.to_owned(), "9".to_owned())].into());
    assert_eq!(cluster().resolved(&urgent).class, 41);
    urgent.metadata.annotations = Some([(PRIORITY.to_owned(), "10".to_owned())].into());
    let resolved = cluster().resolved(&urgent);
    assert_eq!((resolved.class, resolved.input.warnings.len()), (57, 1));
}
