//! Label selectors: their text form, their JSON form, and matching.

mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use serde_json::Value;
use thiserror::Error;

pub use parse::parse;

use crate::shared::LabelSelector;

/// Why a selector is refused; the text is Kubernetes' own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SelectorError(pub(crate) String);

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The value is one of the listed.
    In,
    /// The label is absent or its value is none of the listed.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The value is an integer above the one given.
    GreaterThan,
    /// The value is an integer below the one given.
    LessThan,
}

/// One condition on the labels of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// How to compare.
    pub operator: Operator,
    /// What to compare with; empty for presence tests.
    pub values: BTreeSet<String>,
}

/// A conjunction of requirements; without any it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// All of these must hold.
    pub requirements: Vec<Requirement>,
}

impl Selector {
    /// Reads the `labelSelector` query parameter, such as `a=b,c in (d,e),!f`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse(text)
    }

    /// Reads a `metav1.LabelSelector` in JSON (`matchLabels`, `matchExpressions`).
    pub fn from_json(selector: &Value) -> Result<Self, SelectorError> {
        let selector: LabelSelector = serde_json::from_value(selector.clone())
            .map_err(|e| SelectorError(format!("not a label selector: {e}")))?;
        Self::try_from(&selector)
    }

    /// Whether the selector restricts nothing.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether these labels fulfil every requirement.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = |key: &str| labels.get(key).map(String::as_str);
        self.requirements.iter().all(|r| r.holds(value(&r.key)))
    }

    /// Whether an object's `metadata.labels` fulfil every requirement.
    pub fn matches_object(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.requirements
            .iter()
            .all(|r| r.holds(labels.get(&r.key).and_then(Value::as_str)))
    }
}

/// The form that the `labelSelector` query parameter has.
impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl Display for Requirement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Requirement { key, values, .. } = self;
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let values = values.join(",");
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let listed = value.is_some_and(|v| self.values.contains(v));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compare(value, |a, b| a > b),
            Operator::LessThan => self.compare(value, |a, b| a < b),
        }
    }

    fn compare(&self, value: Option<&str>, holds: fn(i64, i64) -> bool) -> bool {
        let value = value.and_then(|v| v.parse().ok());
        let bound = self.values.first().and_then(|v| v.parse().ok());
        value
            .zip(bound)
            .is_some_and(|(value, bound)| holds(value, bound))
    }
}

impl TryFrom<&LabelSelector> for Selector {
    type Error = SelectorError;

    fn try_from(selector: &LabelSelector) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for (key, value) in &selector.match_labels {
            let values = BTreeSet::from([value.clone()]);
            requirements.push(parse::requirement(key, Operator::In, values)?);
        }
        for expression in &selector.match_expressions {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let message = format!("{other:?} is not a valid label selector operator");
                    return Err(SelectorError(message));
                }
            };
            let values = expression.values.iter().cloned().collect();
            requirements.push(parse::requirement(&expression.key, operator, values)?);
        }
        Ok(Self { requirements })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        Selector::parse(selector).unwrap().matches(&labels)
    }

    #[test]
    fn text_selectors_match() {
        let labels = [("app", "web"), ("tier", "2"), ("in", "x")];
        for selector in [
            "",
            "app=web",
            "app==web",
            "app = web , tier=2",
            "app!=db",
            "other!=x",
            "app",
            "!other",
            "app in (db, web)",
            "app notin (db)",
            "other notin (db)",
            "tier>1",
            "tier < 3",
            "in=x",
            "in in (x)",
            "! other",
        ] {
            assert!(matches(selector, &labels), "{selector}");
        }
        for selector in [
            "app=db",
            "app!=web",
            "!app",
            "other",
            "app in (db)",
            "tier>2",
            "app=",
        ] {
            assert!(!matches(selector, &labels), "{selector}");
        }
        assert!(matches("e=", &[("e", "")]));
        assert!(matches("e in ()", &[("e", "")]));
    }

    #[test]
    fn the_text_of_a_selector_reads_as_the_same_selector() {
        for text in ["", "a in (b),c notin (d,e),f,!g,h>1,i<2", "e in ()"] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.to_string(), text);
            assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
    }

    #[test]
    fn json_selectors_match() {
        let selector = Selector::from_json(&json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "NotIn", "values": ["3"] },
                { "key": "app", "operator": "Exists" },
            ],
        }))
        .unwrap();
        let object =
            |tier: &str| json!({ "metadata": { "labels": { "app": "web", "tier": tier } } });
        assert!(selector.matches_object(&object("2")));
        assert!(!selector.matches_object(&object("3")));
        assert!(!selector.matches_object(&json!({ "metadata": {} })));
        assert!(Selector::from_json(&json!({})).unwrap().is_empty());
        let wrong = json!({ "matchExpressions": [{ "key": "a", "operator": "Near" }] });
        assert!(Selector::from_json(&wrong).is_err());
    }
}
