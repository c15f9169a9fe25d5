use serde_json::{Value, json};

use super::*;

fn found(objects: &[(&str, &str, Value)]) -> Found {
    let entry = |(kind, name, object): &(&str, &str, Value)| {
        let namespace = if *kind == "ArkConfig" { "" } else { "n" };
        (Reference::new(kind, namespace, name), Some(object.clone()))
    };
    objects.iter().map(entry).collect()
}

fn object(spec: Value) -> Value {
    json!({ "metadata": { "name": "x", "namespace": "n" }, "spec": spec })
}

fn errors(kind: &str, spec: Value, found: &Found) -> Vec<String> {
    let verdict = validate(kind, &object(spec), found, ModelUrlPolicy::Strict);
    verdict.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn query_defaults() {
    let mut query = object(json!({ "input": "i", "timeout": "5m" }));
    default("Query", &mut query, &Found::new());
    assert_eq!(
        query["spec"],
        json!({ "input": "i", "timeout": "5m0s", "ttl": "720h0m0s" })
    );

    let config = found(&[(
        "ArkConfig",
        "default",
        json!({ "spec": { "queryTTL": "1h" } }),
    )]);
    let mut query = object(json!({ "input": "i" }));
    default("Query", &mut query, &config);
    assert_eq!(query["spec"]["ttl"], "1h0m0s");
}

#[test]
fn query_of_type_messages_is_migrated() {
    let mut query = object(json!({ "type": "messages", "input": [
        { "role": "user", "content": "first" },
        { "role": "user", "content": [{ "type": "image" }, { "type": "text", "text": "last" }] },
        { "role": "assistant", "content": "no" },
    ] }));
    default("Query", &mut query, &Found::new());
    assert_eq!(query["spec"]["type"], "user");
    assert_eq!(query["spec"]["input"], "last");
    let annotations = &query["metadata"]["annotations"];
    assert!(annotations["ark.mckinsey.com/migration-warning-input-type"].is_string());
    let verdict = validate("Query", &query, &Found::new(), ModelUrlPolicy::Strict);
    assert!(verdict.warnings.is_empty());
}

#[test]
fn query_rules() {
    let agents = found(&[("Agent", "a", json!({}))]);
    let target = json!({ "type": "agent", "name": "a" });
    assert_eq!(
        errors("Query", json!({ "input": "i", "target": target }), &agents),
        Vec::<String>::new()
    );
    assert_eq!(
        errors(
            "Query",
            json!({ "input": "i", "target": target }),
            &Found::new()
        ),
        [
            "spec.target: Not found: agent \"a\" does not exist in namespace \"n\"; create it first, \
          or correct the name"
        ]
    );
    let found = errors("Query", json!({ "input": "i" }), &agents);
    assert!(found[0].starts_with("spec.target: Required value: name who is to answer"));
    assert!(errors("Query", json!({ "selector": {} }), &agents).is_empty());
    assert_eq!(
        errors(
            "Query",
            json!({ "target": target, "timeout": "0s", "ttl": "soon" }),
            &agents
        ),
        [
            "spec.timeout: Invalid value: \"0s\": must be greater than zero",
            "spec.ttl: Invalid value: \"soon\": \"soon\" is not a duration: write it like 90s, \
             5m or 1h30m",
        ]
    );
}

#[test]
fn parameter_rules() {
    let known = found(&[
        ("ConfigMap", "c", json!({ "data": { "k": "v" } })),
        (
            "Secret",
            "s",
            json!({ "kind": "Secret", "data": { "k": "dg==" } }),
        ),
    ]);
    let good = json!({ "parameters": [
        { "name": "a", "value": "v" },
        { "name": "b", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } },
        { "name": "c", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
        { "name": "d", "valueFrom": { "queryParameterRef": { "name": "q" } } },
    ] });
    assert!(errors("Agent", good, &known).is_empty());
    let bad = json!({ "parameters": [
        { "name": "a", "value": "" },
        { "name": "b", "value": "v", "valueFrom": {} },
        { "name": "c", "valueFrom": {} },
        { "name": "d", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "z" } } },
        { "name": "e", "valueFrom": { "secretKeyRef": { "name": "z", "key": "k" } } },
    ] });
    assert_eq!(
        errors("Agent", bad, &known),
        [
            "spec.parameters[0].value: Required value: parameter \"a\" needs a value that is not \
             empty, or valueFrom",
            "spec.parameters[1].valueFrom: Forbidden: parameter \"b\" may have value or \
             valueFrom, not both",
            "spec.parameters[2].valueFrom: Required value: parameter \"c\" needs exactly one of \
             configMapKeyRef, secretKeyRef, serviceRef and queryParameterRef",
            "spec.parameters[3].valueFrom.configMapKeyRef: Not found: configmap \"c\" in \
             namespace \"n\" has no key \"z\"; add the key, or correct it",
            "spec.parameters[4].valueFrom.secretKeyRef: Not found: secret \"z\" does not exist in \
             namespace \"n\"; create it first, or correct the name",
        ]
    );
}

#[test]
fn agent_defaults_and_rules() {
    let mut agent = object(json!({ "tools": [
        { "type": "custom", "name": "t" },
        { "type": "mcp", "name": "m", "approval": { "timeout": "5m" } },
    ] }));
    default("Agent", &mut agent, &Found::new());
    assert_eq!(agent["spec"]["modelRef"], json!({ "name": "default" }));
    assert_eq!(agent["spec"]["tools"][1]["approval"]["timeout"], "5m0s");
    let verdict = validate("Agent", &agent, &Found::new(), ModelUrlPolicy::Strict);
    assert!(verdict.errors.is_empty());
    assert_eq!(verdict.warnings.len(), 1);
    assert!(verdict.warnings[0].contains("\"t\""));

    let mut remote = object(json!({}));
    remote["metadata"]["annotations"] = json!({ "ark.mckinsey.com/a2a-server-name": "" });
    default("Agent", &mut remote, &Found::new());
    assert!(remote["spec"].get("modelRef").is_none());

    let tools = json!({ "tools": [
        { "type": "http" },
        { "type": "built-in", "name": "rm" },
        { "type": "mcp", "name": "m", "approval": { "timeout": "0s", "onTimeout": "shrug" } },
        { "type": "inline", "name": "i" },
        { "type": "built-in", "name": "noop", "approval": { "timeout": "0s" } },
    ] });
    let found = errors("Agent", tools, &Found::new());
    let fields: Vec<&str> = found.iter().filter_map(|e| e.split(": ").next()).collect();
    assert_eq!(
        fields,
        [
            "spec.tools[0].name",
            "spec.tools[1].name",
            "spec.tools[2].approval.timeout",
            "spec.tools[2].approval.onTimeout",
            "spec.tools[3].type",
        ]
    );
}

#[test]
fn exempt_objects_are_left_alone() {
    let mut agent = object(json!({ "tools": [{ "type": "nonsense" }] }));
    agent["metadata"]["labels"] = json!({ "ark.mckinsey.com/skip-webhook-validation": "true" });
    let before = agent.clone();
    default("Agent", &mut agent, &Found::new());
    assert_eq!(agent, before);
    assert_eq!(
        validate("Agent", &agent, &Found::new(), ModelUrlPolicy::Strict),
        Verdict::default()
    );
    let mut query = object(json!({}));
    query["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(
        validate("Query", &query, &Found::new(), ModelUrlPolicy::Strict),
        Verdict::default()
    );
}

fn openai(base_url: Value, api_key: Value) -> Value {
    json!({
        "provider": "openai", "model": { "value": "m" },
        "config": { "openai": { "baseUrl": base_url, "apiKey": api_key } },
    })
}

#[test]
fn model_defaults() {
    let mut model = object(json!({ "type": "azure", "pollInterval": "1m" }));
    default("Model", &mut model, &Found::new());
    assert_eq!(model["spec"]["provider"], "azure");
    assert_eq!(model["spec"]["type"], "completions");
    assert_eq!(model["spec"]["pollInterval"], "1m0s");
    let verdict = validate("Model", &model, &Found::new(), ModelUrlPolicy::Strict);
    assert_eq!(verdict.warnings.len(), 1);

    let mut kept = object(json!({ "type": "anthropic" }));
    default("Model", &mut kept, &Found::new());
    assert_eq!(kept["spec"], json!({ "type": "anthropic" }));
}

#[test]
fn model_rules() {
    let key = json!({ "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } });
    let url = json!({ "value": "https://api.openai.com/v1" });
    let known = found(&[(
        "Secret",
        "s",
        json!({ "kind": "Secret", "data": { "k": "dG9wc2VjcmV0" } }),
    )]);
    assert!(errors("Model", openai(url.clone(), key.clone()), &known).is_empty());

    let spec = openai(
        json!({ "value": "http://localhost/v1" }),
        json!({ "value": "none" }),
    );
    assert_eq!(errors("Model", spec.clone(), &known).len(), 1);
    let verdict = validate("Model", &object(spec), &known, ModelUrlPolicy::Local);
    assert!(verdict.errors.is_empty());

    // A URL out of a Secret is checked, and not repeated.
    let found = errors("Model", openai(key.clone(), key.clone()), &known);
    assert!(
        found[0].starts_with("spec.config.openai.baseUrl: Invalid value"),
        "{found:?}"
    );
    assert!(!found[0].contains("topsecret"));

    let found = errors("Model", openai(url.clone(), json!({})), &known);
    assert!(found[0].starts_with("spec.config.openai.apiKey: Required value: set value, or"));
    let found = errors(
        "Model",
        json!({ "provider": "azure", "model": { "value": "m" } }),
        &known,
    );
    assert!(found[0].starts_with("spec.config.azure: Required value"));

    let rules = Rules {
        missing_secrets: MissingSecrets::Warn,
        ..Rules::default()
    };
    let verdict = validate_with("Model", &object(openai(url, key)), &Found::new(), rules);
    assert!(verdict.errors.is_empty());
    assert!(verdict.warnings[0].contains("secret \"s\" does not exist"));
}

#[test]
fn azure_authenticates_in_one_way() {
    let azure = |extra: Value| {
        let mut config = json!({ "baseUrl": { "value": "https://x.openai.azure.com" } });
        for (name, value) in extra.as_object().unwrap() {
            config[name] = value.clone();
        }
        let spec = json!({
            "provider": "azure", "model": { "value": "m" }, "config": { "azure": config },
        });
        errors("Model", spec, &Found::new())
    };
    let key = json!({ "value": "k" });
    assert!(azure(json!({ "apiKey": key })).is_empty());
    assert!(azure(json!({ "auth": { "apiKey": key } })).is_empty());
    assert!(azure(json!({ "auth": { "managedIdentity": {} } })).is_empty());
    assert_eq!(azure(json!({})).len(), 1);
    assert_eq!(azure(json!({ "auth": {}, "apiKey": key })).len(), 1);
    assert_eq!(
        azure(json!({ "auth": { "apiKey": key, "managedIdentity": {} } })).len(),
        1
    );
}

#[test]
fn tool_rules() {
    let tool = |spec: Value| errors("Tool", spec, &Found::new());
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let http = json!({ "url": "https://x.org/{a}?b={b}" });
    assert!(tool(json!({ "type": "http", "http": http, "inputSchema": schema })).is_empty());
    assert_eq!(tool(json!({ "type": "http" })).len(), 1);
    assert_eq!(
        tool(json!({ "type": "http", "http": { "url": "https://" } })).len(),
        1
    );
    assert_eq!(tool(json!({ "type": "agent" })).len(), 1);
    assert_eq!(tool(json!({ "type": "mcp", "mcp": {} })).len(), 2);
    assert_eq!(
        tool(json!({ "type": "builtin", "builtin": { "name": "noop" } })),
        ["metadata.name: Unsupported value: \"x\": supported values: \"noop\", \"terminate\""]
    );
    let bad = json!({ "type": "object", "properties": {
        "": {}, "a": { "type": "text" }, "b": { "type": "object", "properties": { "c": 1 } } } });
    let found = tool(json!({ "type": "http", "http": http, "inputSchema": bad }));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[1].starts_with("spec.inputSchema.properties.a.type: Unsupported value"));
    assert!(found[2].starts_with("spec.inputSchema.properties.b.properties.c: Invalid value"));
}

#[test]
fn team_migrations_and_rules() {
    let mut team = object(json!({ "strategy": "round-robin", "maxTurns": 3, "members": [] }));
    default("Team", &mut team, &Found::new());
    assert_eq!(
        team["spec"],
        json!({ "strategy": "sequential", "loops": true, "maxTurns": 3, "members": [] })
    );
    let mut team =
        object(json!({ "strategy": "graph", "maxTurns": 3, "graph": {}, "members": [] }));
    default("Team", &mut team, &Found::new());
    assert_eq!(
        team["spec"],
        json!({ "strategy": "sequential", "loops": false, "members": [] })
    );

    let agents = found(&[("Agent", "a", json!({}))]);
    let member = |name: &str, type_: &str| json!({ "name": name, "type": type_ });
    let spec = json!({
        "strategy": "selector", "maxTurns": 3, "selector": { "agent": "a" },
        "members": [member("a", "agent")],
        "graph": { "edges": [{ "from": "a", "to": "b" }] },
    });
    assert_eq!(
        errors("Team", spec, &agents),
        ["spec.graph.edges[0].to: Invalid value: \"b\": names no member of the team"]
    );
    let spec = json!({ "strategy": "sequential", "maxTurns": 1,
        "members": [member("x", "team"), member("b", "agent"), member("a", "model")] });
    assert_eq!(errors("Team", spec, &agents).len(), 4);
}

#[test]
fn server_rules() {
    let mcp = |spec: Value| errors("MCPServer", spec, &Found::new());
    assert!(mcp(json!({ "address": { "value": "http://x" }, "pollInterval": "0s" })).is_empty());
    assert_eq!(
        mcp(json!({ "address": {}, "pollInterval": "-1s" })).len(),
        2
    );
    let service = json!({ "valueFrom": { "serviceRef": { "name": "s", "port": "http" } } });
    assert!(
        errors(
            "ExecutionEngine",
            json!({ "address": service }),
            &Found::new()
        )
        .is_empty()
    );
    assert!(errors("A2AServer", json!({ "address": service }), &Found::new()).is_empty());
    assert_eq!(errors("A2AServer", json!({}), &Found::new()).len(), 1);
    assert_eq!(
        errors("ArkConfig", json!({ "queryTTL": "0s" }), &Found::new()).len(),
        2
    );
    assert!(errors("Memory", json!({}), &Found::new()).is_empty());
}

#[test]
fn any_json_is_survived() {
    let kinds = crate::kinds::KINDS.iter().map(|k| k.kind);
    for kind in kinds {
        for value in [
            json!(null),
            json!([]),
            json!("x"),
            json!({ "spec": 1, "metadata": [] }),
            json!({ "spec": { "target": 1, "config": [], "tools": "x", "members": {} } }),
        ] {
            let mut value = value;
            references(kind, &value);
            default(kind, &mut value, &Found::new());
            validate(kind, &value, &Found::new(), ModelUrlPolicy::Strict);
        }
    }
}
