//! Ark's sample manifests: what becomes of each object when it is applied.
//!
//! The table is what Ark 0.1.67 does once all objects of the samples exist, and
//! the Secrets that its setup instructions create. It is read from the manifests of
//! Ark's own release; without them the test is skipped.

use std::collections::BTreeSet;
use std::path::Path;

use ark_api::admission::{self, Found, ModelUrlPolicy, Reference, Verdict};
use ark_api::{FieldError, kinds, object_meta, structural};
use serde_json::{Value, json};

mod table;

use table::{OTHERS, TABLE};

/// What the samples' own scripts and test tool fill in before they apply them.
const PLACEHOLDERS: [(&str, &str); 7] = [
    ("${MODEL_TYPE}", "azure"),
    ("${MODEL_VERSION}", "gpt-4.1-mini"),
    ("${BASE_URL}", "https://example.openai.azure.com"),
    ("${API_VERSION}", "2024-12-01-preview"),
    ("${API_KEY}", "c2VjcmV0"),
    ("($azure.url)", "https://example.openai.azure.com"),
    ("(base64_encode($azure.token))", "c2VjcmV0"),
];

#[test]
fn every_sample_is_judged_as_ark_does() {
    let Some(samples) = read_samples() else {
        println!("SKIPPED: Ark's sample manifests are not there");
        return;
    };
    let mut judged = BTreeSet::new();
    let mut others = BTreeSet::new();
    let mut wrong = Vec::new();
    for (file, object) in &samples {
        let id = format!(
            "{}/{}",
            text(&object["kind"]),
            text(&object["metadata"]["name"])
        );
        if !is_arks(object) {
            others.insert((file.as_str(), text(&object["kind"])));
            continue;
        }
        let (unknown, verdict) = apply(
            object.clone(),
            &world(&samples, file),
            ModelUrlPolicy::Strict,
        );
        let errors: Vec<String> = verdict.errors.iter().map(FieldError::to_string).collect();
        let row = TABLE
            .iter()
            .find(|row| row.file == file && row.object == id);
        let fits = row.is_some_and(|row| {
            judged.insert((row.file, row.object));
            let as_rejected = match (row.rejected, &errors[..]) {
                ("", errors) => errors.is_empty(),
                (start, [error]) => error.starts_with(start),
                _ => false,
            };
            as_rejected && unknown == row.unknown && verdict.warnings.len() == row.warnings
        });
        if !fits {
            wrong.push(format!(
                "{file} {id}: errors {errors:?}, unknown {unknown:?}, warnings {:?}",
                verdict.warnings
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are judged otherwise:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let listed: BTreeSet<_> = TABLE.iter().map(|row| (row.file, row.object)).collect();
    assert_eq!(judged, listed, "rows without a sample");
    assert_eq!(others, OTHERS.iter().copied().collect());
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
    if kind.namespaced {
        object["metadata"]["namespace"] = json!("default");
    }
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

/// Every object of every file, by the file's path below the samples.
fn read_samples() -> Option<Vec<(String, Value)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat/ark/samples");
    let mut folders = vec![root.exists().then(|| root.clone())?];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let list = if path.is_dir() {
                &mut folders
            } else {
                &mut paths
            };
            list.push(path);
        }
    }
    paths.sort();
    let mut samples = Vec::new();
    for path in paths {
        let mut yaml = std::fs::read_to_string(&path).expect("a readable sample");
        for (placeholder, text) in PLACEHOLDERS {
            yaml = yaml.replace(placeholder, text);
        }
        let file = path.strip_prefix(&root).expect("a path below the root");
        let file = file.to_str().expect("a UTF-8 path");
        let objects: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("valid YAML");
        assert!(objects.iter().any(Value::is_object), "{file} is empty");
        let objects = objects.into_iter().filter(Value::is_object);
        samples.extend(objects.map(|object| (file.to_owned(), object)));
    }
    Some(samples)
}

fn is_arks(object: &Value) -> bool {
    text(&object["apiVersion"]).starts_with("ark.mckinsey.com/")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
