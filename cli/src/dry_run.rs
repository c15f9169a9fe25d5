//! `ark run --dry-run`: all of admission and planning, on the manifests alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use ark_api::admission::{self, MissingSecrets, ModelUrlPolicy, Rules};
use ark_api::{Query, kinds, structural};
use ark_plan::resolve::{
    self, Found, Kind, Object, ObjectKey, Resolution, SELECTABLE, Unplannable,
};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::manifests::{self, Manifest};

/// Checks manifest files: all of admission and planning, without a server and without calling anything.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Manifest files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Namespace of objects that name none
    #[arg(long, short, env = "ARK_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Only warn of Secrets that the files do not hold
    #[arg(long)]
    without_secrets: bool,
}

impl Validate {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let manifests = manifests::read(&self.files, &self.namespace)?;
        let plans = check(&manifests, self.without_secrets)?;
        println!(
            "{} objects are valid, {} queries can be planned",
            manifests.len(),
            plans.len()
        );
        Ok(())
    }
}

/// Prints what each Query resolves to; an error names everything that is wrong.
pub(crate) fn show(manifests: &[Manifest], lenient_secrets: bool) -> anyhow::Result<()> {
    for plan in check(manifests, lenient_secrets)? {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    }
    Ok(())
}

/// The plan of each Query, or everything that is wrong.
fn check(manifests: &[Manifest], lenient_secrets: bool) -> anyhow::Result<Vec<Value>> {
    let missing_secrets = if lenient_secrets {
        MissingSecrets::Warn
    } else {
        MissingSecrets::Reject
    };
    let rules = Rules {
        model_urls: ModelUrlPolicy::Local,
        missing_secrets,
    };
    let mut objects: BTreeMap<(String, String, String), Value> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut plans = Vec::new();
    for manifest in manifests {
        let admitted = admit(manifest, &objects, rules);
        for warning in &admitted.warnings {
            eprintln!("warning: {} {}: {warning}", manifest.kind, manifest.name);
        }
        problems.extend(
            admitted
                .errors
                .iter()
                .map(|error| format!("{}: {error}", manifest.origin)),
        );
        let key = (
            manifest.kind.clone(),
            manifest.namespace.clone(),
            manifest.name.clone(),
        );
        objects.insert(key, admitted.object);
    }
    for manifest in manifests.iter().filter(|manifest| manifest.kind == "Query") {
        let key = (
            manifest.kind.clone(),
            manifest.namespace.clone(),
            manifest.name.clone(),
        );
        match plan(&objects[&key], &objects, lenient_secrets) {
            Ok(plan) => plans.push(plan),
            Err(why) => problems.push(format!("{}: {why}", manifest.origin)),
        }
    }
    if problems.is_empty() {
        return Ok(plans);
    }
    problems.sort();
    problems.dedup();
    bail!("{}", problems.join("\n"))
}

struct Admitted {
    object: Value,
    errors: Vec<String>,
    warnings: Vec<String>,
}

/// What the API server does with an object before it is stored.
fn admit(
    manifest: &Manifest,
    objects: &BTreeMap<(String, String, String), Value>,
    rules: Rules,
) -> Admitted {
    let mut object = manifest.object.clone();
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    if let Some(kind) = kinds::by_kind(&manifest.kind) {
        let unknown = structural::prune(kind.schema(), &mut object);
        errors.extend(
            unknown
                .iter()
                .map(|field| format!("unknown field \"{field}\"")),
        );
        structural::apply_defaults(kind.schema(), &mut object);
        let mut found = admission::Found::default();
        for reference in admission::references(&manifest.kind, &object) {
            let key = (
                reference.kind.clone(),
                reference.namespace.clone(),
                reference.name.clone(),
            );
            found.insert(reference, objects.get(&key).map(with_data));
        }
        admission::default(&manifest.kind, &mut object, &found);
        errors.extend(
            structural::validate(kind.schema(), &object)
                .iter()
                .map(ToString::to_string),
        );
        let verdict = admission::validate_with(&manifest.kind, &object, &found, rules);
        errors.extend(verdict.errors.iter().map(ToString::to_string));
        warnings.extend(verdict.warnings);
    }
    Admitted {
        object,
        errors,
        warnings,
    }
}

/// A Secret of a manifest may hold `stringData`, which the server would have folded into `data`.
fn with_data(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(text) = object.get("stringData").and_then(Value::as_object).cloned() {
        for (key, value) in text {
            object["data"][key] = json!(base64(value.as_str().unwrap_or_default()));
        }
    }
    object
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn plan(
    query: &Value,
    objects: &BTreeMap<(String, String, String), Value>,
    lenient_secrets: bool,
) -> Result<Value, String> {
    let mut query: Query =
        serde_json::from_value(query.clone()).map_err(|error| error.to_string())?;
    select(&mut query, objects)
        .map_err(|why| format!("{}: {}", why.class.as_str(), why.sentence))?;
    let options = resolve::Options {
        lenient_secrets,
        model_url_policy: ModelUrlPolicy::Local,
    };
    let mut found = Found::new();
    loop {
        match resolve::resolve(&query, &found, options) {
            Resolution::Needs(needs) => {
                for key in needs {
                    let object = object(&key, objects);
                    found.insert(key, object);
                }
            }
            Resolution::Resolved(resolved) => {
                return Ok(json!({
                    "query": query.metadata.name,
                    "plan": resolved.plan,
                    "input": resolved.input,
                    "class": resolved.class,
                }));
            }
            Resolution::Unplannable(why) => {
                return Err(format!("{}: {}", why.class.as_str(), why.sentence));
            }
        }
    }
}

/// Makes the first object that the Query's selector matches its target.
fn select(
    query: &mut Query,
    objects: &BTreeMap<(String, String, String), Value>,
) -> Result<(), Unplannable> {
    let Some(selector) = resolve::selector(query)? else {
        return Ok(());
    };
    let namespace = query.metadata.namespace.clone();
    let namespace = namespace.as_deref().unwrap_or("default");
    let matches = |kind: Kind| {
        let kind_name = format!("{kind:?}");
        let same = |key: &(String, String, String)| key.0 == kind_name && key.1 == namespace;
        let mut matching = objects
            .iter()
            .filter(|(key, object)| same(key) && selector.matches_object(object));
        matching.next().map(|((.., name), _)| (kind, name))
    };
    if let Some((kind, name)) = SELECTABLE.into_iter().find_map(matches) {
        resolve::select(query, kind, name);
    }
    Ok(())
}

fn object(key: &ObjectKey, objects: &BTreeMap<(String, String, String), Value>) -> Option<Object> {
    let kind = format!("{:?}", key.kind);
    let object = with_data(objects.get(&(kind, key.namespace.clone(), key.name.clone()))?);
    let texts = |field: &str| -> BTreeMap<String, String> {
        let entries = object[field].as_object().cloned().unwrap_or_default();
        entries
            .into_iter()
            .map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned()))
            .collect()
    };
    Some(match key.kind {
        Kind::Agent => typed(&object, Object::Agent),
        Kind::Model => typed(&object, Object::Model),
        Kind::Tool => typed(&object, Object::Tool),
        Kind::Team => typed(&object, Object::Team),
        Kind::ArkConfig => typed(&object, Object::ArkConfig),
        Kind::ConfigMap => Object::ConfigMap(texts("data").into()),
        Kind::Secret => Object::Secret(std::sync::Arc::new(texts("data").into_keys().collect())),
        Kind::Service => {
            let ports = object["spec"]["ports"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let port = |port: &Value| {
                let number = port["port"]
                    .as_u64()
                    .and_then(|number| u16::try_from(number).ok());
                number.map(|number| (port["name"].as_str().unwrap_or_default().to_owned(), number))
            };
            Object::Service(std::sync::Arc::new(ports.iter().filter_map(port).collect()))
        }
    })
}

fn typed<K: DeserializeOwned>(object: &Value, wrap: fn(std::sync::Arc<K>) -> Object) -> Object {
    match serde_json::from_value(object.clone()) {
        Ok(object) => wrap(std::sync::Arc::new(object)),
        Err(error) => Object::Unusable(error.to_string()),
    }
}
