//! Which objects of a collection a request means.

use std::collections::BTreeMap;

pub(crate) use ark_api::labels::Selector as LabelSelector;
use serde_json::Value;

use crate::catalog::{Resource, Rules};
use crate::object::{self, Object};
use crate::status::{Result, Status};
use crate::storage::events;

/// A parsed `fieldSelector`: all terms must hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct FieldSelector(Vec<Term>);

#[derive(Debug, Clone)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let terms = split_unescaped(text).into_iter().filter(|t| !t.is_empty());
        terms
            .map(|t| Term::parse(&t))
            .collect::<Result<_>>()
            .map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses fields by which this resource cannot be selected.
    pub(crate) fn check(&self, resource: &Resource) -> Result<()> {
        let none = Object::new();
        for term in &self.0 {
            let known = ["metadata.name", "metadata.namespace"].contains(&term.field.as_str())
                || special_field(resource, &none, &term.field).is_some();
            if !known {
                let message = format!("field label not supported: {}", term.field);
                return Err(Status::bad_request(message));
            }
        }
        Ok(())
    }

    /// The one name that is selected, if the selector says so.
    pub(crate) fn name(&self) -> Option<&str> {
        let mut names = self
            .0
            .iter()
            .filter(|t| t.equal && t.field == "metadata.name");
        names.next().map(|t| t.value.as_str())
    }

    /// Whether an object in its stored form is selected.
    pub(crate) fn matches(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        stored: &str,
    ) -> bool {
        let mut parsed = None;
        self.0.iter().all(|term| {
            let holds = |value: &str| (value == term.value) == term.equal;
            match term.field.as_str() {
                "metadata.name" => holds(name),
                "metadata.namespace" => holds(namespace),
                field => {
                    let object =
                        parsed.get_or_insert_with(|| object::parse(stored).unwrap_or_default());
                    special_field(resource, object, field).is_some_and(|value| holds(&value))
                }
            }
        })
    }
}

/// Fields that single kinds can be selected by, beside name and namespace.
fn special_field(resource: &Resource, stored: &Object, field: &str) -> Option<String> {
    match resource.rules {
        Rules::Event => events::field(stored, field),
        Rules::Namespace if field == "status.phase" => {
            let phase = stored.get("status").and_then(|s| s.get("phase"));
            Some(phase.and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        _ => None,
    }
}

impl Term {
    fn parse(text: &str) -> Result<Self> {
        let operators = [("!=", false), ("==", true), ("=", true)];
        // The leftmost operator counts; of two at one place, the longer.
        let found = operators
            .iter()
            .filter_map(|(sign, equal)| text.find(sign).map(|at| (at, *sign, *equal)))
            .min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
        let Some((at, sign, equal)) = found else {
            let message = format!("invalid selector: '{text}'; can't understand '{text}'");
            return Err(Status::bad_request(message));
        };
        Ok(Self {
            field: text[..at].to_owned(),
            value: unescape(&text[at + sign.len()..]),
            equal,
        })
    }
}

/// Splits at commas that no backslash precedes.
fn split_unescaped(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let last = terms.last_mut().expect("there is always one term");
        match c {
            '\\' => {
                last.push('\\');
                last.extend(chars.next());
            }
            ',' => terms.push(String::new()),
            _ => last.push(c),
        }
    }
    terms
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Both selectors of a request on one resource.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) resource: &'static Resource,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selection {
    pub(crate) fn matches<'a>(
        &self,
        namespace: &str,
        name: &str,
        stored: &str,
        labels: impl FnOnce() -> std::borrow::Cow<'a, BTreeMap<String, String>>,
    ) -> bool {
        (self.labels.is_empty() || self.labels.matches(&labels()))
            && self.fields.matches(self.resource, namespace, name, stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn fields_select_by_name_and_by_what_the_kind_offers() {
        let queries = catalog::find(ark_api::GROUP, "v1alpha1", "queries").unwrap();
        let selector = FieldSelector::parse("metadata.name=q1,metadata.namespace!=other").unwrap();
        assert!(selector.check(queries).is_ok());
        assert_eq!(selector.name(), Some("q1"));
        assert!(selector.matches(queries, "default", "q1", "{}"));
        assert!(!selector.matches(queries, "other", "q1", "{}"));
        let refused = FieldSelector::parse("spec.input=x").unwrap().check(queries);
        assert_eq!(
            refused.unwrap_err().message,
            "field label not supported: spec.input"
        );
        assert_eq!(FieldSelector::parse("nonsense").unwrap_err().code, 400);

        let events = catalog::find("", "v1", "events").unwrap();
        let selector =
            FieldSelector::parse(r"involvedObject.name=a\,b,involvedObject.uid=").unwrap();
        assert!(selector.check(events).is_ok());
        let event = r#"{"involvedObject":{"name":"a,b"}}"#;
        assert!(selector.matches(events, "default", "e", event));
    }
}
