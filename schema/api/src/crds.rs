//! The CustomResourceDefinitions of all kinds.

use serde_json::{Map, Value, json};

use crate::GROUP;
use crate::kinds::{Column, KINDS, Kind};

/// The `apiextensions.k8s.io/v1` CustomResourceDefinition objects of all kinds.
pub fn crds() -> Vec<Value> {
    KINDS.iter().map(crd).collect()
}

fn crd(kind: &Kind) -> Value {
    let mut version = json!({
        "name": kind.version,
        "served": true,
        "storage": true,
        "schema": { "openAPIV3Schema": kind.schema() },
        "subresources": { "status": {} },
    });
    if !kind.columns.is_empty() {
        version["additionalPrinterColumns"] = kind.columns.iter().map(column).collect();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{}.{GROUP}", kind.plural) },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.kind,
                "listKind": kind.list_kind(),
                "plural": kind.plural,
                "singular": kind.singular,
            },
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "versions": [version],
        },
    })
}

fn column(column: &Column) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), column.name.into());
    object.insert("type".into(), column.type_.into());
    object.insert("jsonPath".into(), column.json_path.into());
    if !column.format.is_empty() {
        object.insert("format".into(), column.format.into());
    }
    Value::Object(object)
}
