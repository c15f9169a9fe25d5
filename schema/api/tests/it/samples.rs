//! Ark's sample manifests: what becomes of each object when it is applied.
//!
//! The table is what Ark 0.1.67 does once all objects of the four folders exist, and
//! the Secrets that its setup instructions create. It is read from the manifests of
//! Ark's own release; without them the test is skipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ark_api::admission::{self, Found, ModelUrlPolicy, Reference, Verdict};
use ark_api::{FieldError, kinds, object_meta, structural};
use serde_json::{Value, json};

/// One object of a sample file, and what becomes of it.
struct Row {
    file: &'static str,
    object: &'static str,
    /// Start of the one error; empty when the object is accepted.
    rejected: &'static str,
    /// Fields that are dropped because the kind does not have them.
    unknown: &'static [&'static str],
    /// How many warnings the user sees.
    warnings: usize,
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
const TARGET_EXISTS: &str = "the target is one of the sample agents";
const NO_SUCH_TARGET: &str = "no sample defines the target, and Ark wants it to exist";

const TABLE: &[Row] = &[
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
];

#[test]
fn every_sample_is_judged_as_ark_does() {
    let Some(samples) = read_samples() else {
        println!("SKIPPED: Ark's sample manifests are not there");
        return;
    };
    let mut judged = BTreeSet::new();
    for (file, object) in samples.iter().filter(|(_, o)| is_arks(o)) {
        let id = format!(
            "{}/{}",
            text(&object["kind"]),
            text(&object["metadata"]["name"])
        );
        let row = TABLE
            .iter()
            .find(|row| row.file == file && row.object == id)
            .unwrap_or_else(|| panic!("{file} {id} is missing in the table"));
        judged.insert((row.file, row.object));

        let world = world(&samples, file);
        let (unknown, verdict) = apply(object.clone(), &world, ModelUrlPolicy::Strict);
        assert_eq!(unknown, row.unknown, "{file} {id}");
        assert_eq!(
            verdict.warnings.len(),
            row.warnings,
            "{file} {id}: {:?}",
            verdict.warnings
        );
        let errors: Vec<String> = verdict.errors.iter().map(FieldError::to_string).collect();
        match row.rejected {
            "" => assert_eq!(errors, Vec::<String>::new(), "{file} {id}"),
            start => {
                assert_eq!(errors.len(), 1, "{file} {id}: {errors:#?}");
                assert!(errors[0].starts_with(start), "{file} {id}: {errors:#?}");
            }
        }
    }
    let listed: BTreeSet<_> = TABLE.iter().map(|row| (row.file, row.object)).collect();
    assert_eq!(judged, listed, "rows without a sample");
}

#[test]
fn local_policy_accepts_the_ollama_sample() {
    let Some(samples) = read_samples() else {
        println!("SKIPPED: Ark's sample manifests are not there");
        return;
    };
    let (file, object) = samples
        .iter()
        .find(|(file, _)| file == "models/local-ollama.yaml")
        .expect("the sample exists");
    let (_, verdict) = apply(
        object.clone(),
        &world(&samples, file),
        ModelUrlPolicy::Local,
    );
    assert_eq!(verdict.errors, []);
}

/// A write as the API server makes it: prune, defaults, admission, schema, metadata.
fn apply(mut object: Value, found: &Found, policy: ModelUrlPolicy) -> (Vec<String>, Verdict) {
    let kind = kinds::by_kind(text(&object["kind"])).expect("a kind of the group");
    object["metadata"]["namespace"] = json!("default");
    let unknown = structural::prune(kind.schema(), &mut object);
    structural::apply_defaults(kind.schema(), &mut object);
    admission::default(kind.kind, &mut object, found);
    let mut errors = structural::validate(kind.schema(), &object);
    errors.extend(object_meta::validate(&object["metadata"], kind.namespaced));
    let mut verdict = admission::validate(kind.kind, &object, found, policy);
    for reference in admission::references(kind.kind, &object) {
        assert!(!reference.name.is_empty());
    }
    verdict.errors.splice(0..0, errors);
    (unknown, verdict)
}

/// All objects of the samples, those of `file` first in line where names collide, and
/// the Secrets that Ark's setup instructions create.
fn world(samples: &[(String, Value)], file: &str) -> Found {
    let setup = [("default-model-token", "token"), ("openai-secret", "token")];
    let mut found: Found = setup
        .into_iter()
        .map(|(name, key)| {
            let secret = json!({ "kind": "Secret", "stringData": { key: "secret" } });
            (Reference::new("Secret", "default", name), Some(secret))
        })
        .collect();
    let (own, others): (Vec<_>, Vec<_>) = samples.iter().partition(|(f, _)| f == file);
    for (_, object) in others.into_iter().chain(own) {
        let name = text(&object["metadata"]["name"]);
        let reference = Reference::new(text(&object["kind"]), "default", name);
        found.insert(reference, Some(object.clone()));
    }
    found
}

fn read_samples() -> Option<Vec<(String, Value)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat/ark/samples");
    let mut samples = Vec::new();
    for folder in ["models", "agents", "tools", "queries"] {
        let entries = std::fs::read_dir(root.join(folder)).ok()?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let yaml = std::fs::read_to_string(&path).expect("a readable sample");
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .expect("a UTF-8 name");
            let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("valid YAML");
            for object in objects.into_iter().filter(Value::is_object) {
                samples.push((format!("{folder}/{name}"), object));
            }
        }
    }
    Some(samples)
}

fn is_arks(object: &Value) -> bool {
    text(&object["apiVersion"]).starts_with("ark.mckinsey.com/")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
