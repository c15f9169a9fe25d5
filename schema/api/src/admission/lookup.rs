//! What admission must look up, and what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

/// An object that admission needs to know of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Kind of the object, such as `Agent` or `Secret`.
    pub kind: String,
    /// Its namespace; empty for cluster-wide kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Reference {
    /// A reference to that object.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// What was found for references; `None` says that the object does not exist.
#[derive(Clone, Default, PartialEq)]
pub struct Found(BTreeMap<Reference, Option<Value>>);

impl Found {
    /// Nothing was looked up.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what a look-up returned.
    pub fn insert(&mut self, reference: Reference, object: Option<Value>) {
        self.0.insert(reference, object);
    }

    /// The object, if it was looked up and exists.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.0.get(&Reference::new(kind, namespace, name))?.as_ref()
    }
}

impl FromIterator<(Reference, Option<Value>)> for Found {
    fn from_iter<I: IntoIterator<Item = (Reference, Option<Value>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

// Objects may be Secrets: Debug output says only whether they exist.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self
            .0
            .iter()
            .map(|(reference, object)| (reference, object.is_some()));
        f.debug_map().entries(entries).finish()
    }
}

/// What must be looked up before the object of that kind can be defaulted and
/// validated; each reference once, in order.
pub fn references(kind: &str, object: &Value) -> Vec<Reference> {
    let mut wanted = Wanted {
        namespace: object["metadata"]["namespace"].as_str().unwrap_or(""),
        references: BTreeSet::new(),
    };
    let spec = &object["spec"];
    match kind {
        "Query" => {
            if spec["ttl"].is_null() {
                wanted
                    .references
                    .insert(Reference::new("ArkConfig", "", "default"));
            }
            let target = &spec["target"];
            wanted.object(
                target["type"].as_str().and_then(target_kind),
                &target["name"],
            );
            wanted.keys(&spec["parameters"]);
        }
        "Agent" => wanted.keys(&spec["parameters"]),
        "Model" => {
            wanted.keys(&spec["model"]);
            for block in spec["config"]
                .as_object()
                .into_iter()
                .flat_map(|c| c.values())
            {
                for (name, value) in block.as_object().into_iter().flatten() {
                    if name != "headers" && name != "properties" {
                        wanted.keys(value);
                    }
                }
            }
        }
        "Team" => {
            for member in spec["members"].as_array().into_iter().flatten() {
                wanted.object(
                    member["type"].as_str().and_then(member_kind),
                    &member["name"],
                );
            }
            wanted.object(Some("Agent"), &spec["selector"]["agent"]);
        }
        "MCPServer" | "ExecutionEngine" => wanted.keys(&spec["address"]),
        _ => {}
    }
    wanted.references.into_iter().collect()
}

/// The kind behind a Query's target type.
pub(super) fn target_kind(type_: &str) -> Option<&'static str> {
    match type_ {
        "agent" => Some("Agent"),
        "team" => Some("Team"),
        "model" => Some("Model"),
        "tool" => Some("Tool"),
        _ => None,
    }
}

/// The kind behind a Team member's type.
pub(super) fn member_kind(type_: &str) -> Option<&'static str> {
    target_kind(type_).filter(|kind| matches!(*kind, "Agent" | "Team"))
}

struct Wanted<'a> {
    namespace: &'a str,
    references: BTreeSet<Reference>,
}

impl Wanted<'_> {
    fn object(&mut self, kind: Option<&str>, name: &Value) {
        if let (Some(kind), Some(name)) = (kind, name.as_str().filter(|n| !n.is_empty())) {
            self.references
                .insert(Reference::new(kind, self.namespace, name));
        }
    }

    /// Every Secret and ConfigMap that a key is read from below `value`.
    fn keys(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.keys(item)),
            Value::Object(members) => {
                for (name, value) in members {
                    match name.as_str() {
                        "secretKeyRef" => self.object(Some("Secret"), &value["name"]),
                        "configMapKeyRef" => self.object(Some("ConfigMap"), &value["name"]),
                        _ => self.keys(value),
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_what_is_needed_once() {
        let secret = json!({ "secretKeyRef": { "name": "s", "key": "k" } });
        let model = json!({
            "metadata": { "namespace": "n" },
            "spec": { "model": { "value": "m" }, "config": { "openai": {
                "apiKey": { "valueFrom": secret },
                "baseUrl": { "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } },
                "headers": [{ "name": "h", "value": { "valueFrom": {
                    "secretKeyRef": { "name": "unchecked", "key": "k" } } } }],
            }, "azure": { "auth": { "apiKey": { "valueFrom": secret } } } } },
        });
        assert_eq!(
            references("Model", &model),
            [
                Reference::new("ConfigMap", "n", "c"),
                Reference::new("Secret", "n", "s")
            ]
        );

        let query = json!({
            "metadata": { "namespace": "n" },
            "spec": { "target": { "type": "agent", "name": "a" } },
        });
        assert_eq!(
            references("Query", &query),
            [
                Reference::new("Agent", "n", "a"),
                Reference::new("ArkConfig", "", "default")
            ]
        );
        assert_eq!(references("Query", &json!("garbage")).len(), 1);
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let mut found = Found::new();
        let secret = json!({ "stringData": { "k": "hunter2" } });
        found.insert(Reference::new("Secret", "n", "s"), Some(secret));
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
