//! The Query of an iteration, and what is checked about its end.

use std::time::Duration;

use anyhow::{Context, ensure};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::provider;

/// The label that all Queries of a run carry, with the run's id.
pub(super) const LABEL: &str = "ark.mckinsey.com/loadtest";

/// A Query with places for the numbers of an iteration: `{{.vu}}`, `{{.iter}}`, `{{.scenario}}`, `{{.namespace}}`.
#[derive(Clone, Debug)]
pub(super) struct Template {
    object: Value,
}

/// Which iteration a Query belongs to.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) run: &'a str,
    pub(super) scenario: &'a str,
    pub(super) namespace: &'a str,
    pub(super) vu: u32,
    pub(super) iteration: u64,
}

impl Template {
    /// A whole Query; its name, namespace and label are set for each iteration.
    pub(super) fn of_manifest(object: Value) -> anyhow::Result<Self> {
        ensure!(object["kind"] == "Query", "the manifest is no Query");
        ensure!(object["spec"].is_object(), "the manifest has no spec");
        Ok(Self { object })
    }

    /// A Query of target and input.
    pub(super) fn of_query(target: &Value, input: &str) -> Self {
        let object = json!({
            "apiVersion": "ark.mckinsey.com/v1alpha1",
            "kind": "Query",
            "spec": {"input": input, "target": target},
        });
        Self { object }
    }

    /// The Query of one iteration.
    pub(super) fn render(&self, place: &Place<'_>) -> anyhow::Result<DynamicObject> {
        let mut object = self.object.clone();
        let values = [
            ("vu", place.vu.to_string()),
            ("iter", place.iteration.to_string()),
            ("scenario", place.scenario.to_owned()),
            ("namespace", place.namespace.to_owned()),
        ];
        fill(
            &mut object,
            &values
                .each_ref()
                .map(|(name, value)| (*name, value.as_str())),
        );
        object["metadata"]["name"] = name(place).into();
        object["metadata"]["namespace"] = place.namespace.into();
        object["metadata"]["labels"][LABEL] = place.run.into();
        serde_json::from_value(object).context("the template makes no Kubernetes object")
    }
}

fn name(place: &Place<'_>) -> String {
    let scenario = label(place.scenario);
    format!("load-{scenario}-{}-{}", place.run, place.iteration)
}

/// The name of a scenario as it stands in the names of its Queries.
pub(super) fn label(scenario: &str) -> String {
    let lower = scenario.to_ascii_lowercase();
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    lower.chars().map(allowed).take(40).collect()
}

/// Puts values into all texts of an object, in the place of `{{.name}}`.
pub(super) fn fill(object: &mut Value, values: &[(&str, &str)]) {
    match object {
        Value::String(text) if text.contains("{{.") => {
            for (name, value) in values {
                *text = text.replace(&format!("{{{{.{name}}}}}"), value);
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| fill(member, values)),
        Value::Object(members) => members.values_mut().for_each(|member| fill(member, values)),
        _ => {}
    }
}

/// The API's name for Queries.
pub(super) fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("ark.mckinsey.com", "v1alpha1", "Query");
    ApiResource::from_gvk_with_plural(&kind, "queries")
}

/// How a Query ended.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub(super) phase: String,
    pub(super) content: String,
    /// What the condition `Completed` says.
    pub(super) message: String,
    /// How long it was executed, as its status says.
    pub(super) executing: Option<Duration>,
}

/// Something that must hold of each Query's end.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Check {
    /// The phase is this one.
    Phase(String),
    /// The answer contains this text.
    Contains(String),
    /// The answer is the one that the fake provider with this seed gives.
    MockAnswer { seed: u64 },
}

impl Check {
    /// Whether it holds.
    pub(super) fn holds(&self, query: &DynamicObject, end: &End) -> bool {
        match self {
            Self::Phase(phase) => end.phase == *phase,
            Self::Contains(text) => end.content.contains(text),
            Self::MockAnswer { seed } => {
                let messages = json!([{"role": "user", "content": query.data["spec"]["input"]}]);
                end.content == provider::answer(*seed, "", &messages)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_named_for_its_iteration() {
        let target = json!({"type": "agent", "name": "a"});
        let template =
            Template::of_query(&target, "{{.vu}}/{{.iter}} in {{.namespace}} of {{.other}}");
        let place = Place {
            run: "abc",
            scenario: "Steady_State",
            namespace: "team-1",
            vu: 3,
            iteration: 7,
        };
        let query = template.render(&place).unwrap();
        assert_eq!(
            query.metadata.name.as_deref(),
            Some("load-steady-state-abc-7")
        );
        assert_eq!(query.data["spec"]["input"], "3/7 in team-1 of {{.other}}");
        assert_eq!(query.metadata.labels.unwrap()[LABEL], "abc");
    }
}
