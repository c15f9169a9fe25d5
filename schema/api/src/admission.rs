//! Ark's own defaulting and validation, which Kubernetes runs as admission webhooks.
//!
//! Pure, in two phases: [`references`] names what must be looked up, and [`default`]
//! and [`validate`] take what was [`Found`]. The rules are those of Ark 0.1.67.

mod agent;
mod lookup;
mod model;
mod model_url;
mod query;
mod servers;
mod team;
mod tool;
mod values;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

pub use lookup::{Found, Reference, references};
pub use model_url::{BadRange, ModelUrlLists, ModelUrlPolicy, UnknownPolicy, check_model_url};

use crate::annotations::{MIGRATION_WARNING_PREFIX, SKIP_VALIDATION_LABEL};
use crate::duration;
use crate::field_error::FieldError;

/// What validation says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the object is rejected; accepted when empty.
    pub errors: Vec<FieldError>,
    /// What the user should know, for `Warning` headers.
    pub warnings: Vec<String>,
}

/// What becomes of a reference to a Secret, or to a key in it, that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingSecrets {
    /// The object is rejected.
    #[default]
    Reject,
    /// The object is accepted with a warning, for runs that call no real provider.
    Warn,
}

/// The settings that validation depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Which URLs Models may have.
    pub model_urls: ModelUrlPolicy,
    /// What becomes of references to missing Secrets.
    pub missing_secrets: MissingSecrets,
}

/// Sets what Ark sets at creation and update: default model, ttl, migrations of
/// deprecated forms, durations in canonical form. Nothing else is changed.
pub fn default(kind: &str, object: &mut Value, found: &Found) {
    if is_exempt(kind, object) {
        return;
    }
    match kind {
        "Agent" => agent::default(object),
        "Model" => model::default(object),
        "Query" => query::default(object, found),
        "Team" => team::default(object),
        _ => {}
    }
}

/// [`validate_with`] where a missing Secret is an error.
pub fn validate(kind: &str, object: &Value, found: &Found, model_urls: ModelUrlPolicy) -> Verdict {
    let rules = Rules {
        model_urls,
        ..Rules::default()
    };
    validate_with(kind, object, found, rules)
}

/// Checks an object after [`default`] and after its schema was found to hold.
///
/// Safe on any JSON: what does not fit the kind's types is an error, too. What is not
/// in `found` counts as absent.
pub fn validate_with(kind: &str, object: &Value, found: &Found, rules: Rules) -> Verdict {
    if is_exempt(kind, object) {
        return Verdict::default();
    }
    let mut check = Check {
        object,
        found,
        rules,
        verdict: Verdict::default(),
    };
    let outcome = match kind {
        "A2AServer" => servers::validate_a2a_server(&mut check),
        "Agent" => agent::validate(&mut check),
        "ArkConfig" => servers::validate_ark_config(&mut check),
        "ExecutionEngine" => servers::validate_execution_engine(&mut check),
        "MCPServer" => servers::validate_mcp_server(&mut check),
        "Model" => model::validate(&mut check),
        "Query" => query::validate(&mut check),
        "Team" => team::validate(&mut check),
        "Tool" => tool::validate(&mut check),
        _ => Ok(()),
    };
    if let Err(error) = outcome {
        check.error(error);
    }
    if matches!(kind, "Agent" | "Model" | "Team") {
        check.echo_migration_warnings();
    }
    check.verdict
}

/// Objects being deleted are left alone, so that finalizers can go; Agents and Tools
/// may carry a label against checks.
fn is_exempt(kind: &str, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let labelled = metadata["labels"][SKIP_VALIDATION_LABEL] == "true";
    metadata["deletionTimestamp"].is_string() || (labelled && matches!(kind, "Agent" | "Tool"))
}

/// The object under validation, and the verdict so far.
struct Check<'a> {
    object: &'a Value,
    found: &'a Found,
    rules: Rules,
    verdict: Verdict,
}

impl<'a> Check<'a> {
    fn name(&self) -> &'a str {
        self.object["metadata"]["name"].as_str().unwrap_or("")
    }

    fn namespace(&self) -> &'a str {
        self.object["metadata"]["namespace"].as_str().unwrap_or("")
    }

    /// The typed spec; a missing one is an empty one.
    fn spec<Spec: DeserializeOwned + Default>(&self) -> Result<Spec, FieldError> {
        match self.object.get("spec") {
            None | Some(Value::Null) => Ok(Spec::default()),
            Some(spec) => Spec::deserialize(spec).map_err(|error| FieldError {
                reason: "FieldValueInvalid",
                field: "spec".to_owned(),
                message: format!("Invalid value: {error}"),
            }),
        }
    }

    fn error(&mut self, error: FieldError) {
        self.verdict.errors.push(error);
    }

    fn warn(&mut self, warning: String) {
        self.verdict.warnings.push(warning);
    }

    /// Notes that a Secret or one of its keys is missing.
    fn missing_secret(&mut self, error: FieldError) {
        match self.rules.missing_secrets {
            MissingSecrets::Reject => self.error(error),
            MissingSecrets::Warn => self.warn(error.to_string()),
        }
    }

    /// Requires an object of the same namespace, or of none for cluster-wide kinds.
    fn require_object(&mut self, kind: &str, name: &str, field: String) {
        let namespace = self.namespace();
        if self.found.get(kind, namespace, name).is_none() {
            let detail = format!(
                "{} {name:?} does not exist in namespace {namespace:?}; create it first, \
                 or correct the name",
                kind.to_lowercase()
            );
            self.error(FieldError::not_found(field, &detail));
        }
    }

    /// Requires a duration that parses; zero is one, below zero is not.
    fn require_duration(&mut self, text: Option<&str>, field: &str) -> Option<Duration> {
        let text = text?;
        match duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let detail = error.to_string();
                self.error(FieldError::invalid(field, &json!(text), &detail));
                None
            }
        }
    }

    /// Requires a duration above zero.
    fn require_positive(&mut self, text: Option<&str>, field: &str) {
        let duration = self.require_duration(text, field);
        if duration.is_some_and(|duration| duration.is_zero()) {
            let detail = "must be greater than zero";
            self.error(FieldError::invalid(field, &json!(text), detail));
        }
    }

    fn echo_migration_warnings(&mut self) {
        let annotations = self.object["metadata"]["annotations"].as_object();
        for (key, text) in annotations.into_iter().flatten() {
            if key.starts_with(MIGRATION_WARNING_PREFIX) {
                self.warn(text.as_str().unwrap_or_default().to_owned());
            }
        }
    }
}

/// The member `name` of an object, made an empty object if it is missing.
fn object_at<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    let member = object.as_object_mut()?.entry(name).or_insert(Value::Null);
    if member.is_null() {
        *member = json!({});
    }
    member.as_object_mut()
}

/// Stamps the annotation that [`validate_with`] echoes as a warning.
fn stamp_migration(object: &mut Value, suffix: &str, text: String) {
    let Some(metadata) = object.get_mut("metadata") else {
        return;
    };
    if let Some(annotations) = object_at(metadata, "annotations") {
        annotations.insert(format!("{MIGRATION_WARNING_PREFIX}{suffix}"), text.into());
    }
}

/// Rewrites a duration as Go prints it; what does not parse stays for validation.
fn make_canonical(duration: Option<&mut Value>) {
    if let Some(Value::String(text)) = duration
        && let Ok(parsed) = duration::parse(text)
    {
        *text = duration::format(parsed);
    }
}

#[cfg(test)]
mod tests;
