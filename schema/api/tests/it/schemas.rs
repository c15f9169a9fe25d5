//! Our CustomResourceDefinitions against those of Ark 0.1.67, node by node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A node in which we differ.
struct Difference {
    plural: &'static str,
    /// Below `spec.versions[0].schema.openAPIV3Schema.properties`.
    pointer: &'static str,
    ours: fn() -> Value,
    theirs: fn() -> Value,
    /// How its row in docs/COMPATIBILITY.md begins.
    row: &'static str,
}

const DIFFERENCES: [Difference; 2] = [
    Difference {
        plural: "mcpservers",
        pointer: "/spec/properties/toolCallTimeout",
        ours: || json!({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"}),
        theirs: || Value::Null,
        row: "| MCPServer `spec.toolCallTimeout` |",
    },
    Difference {
        plural: "queries",
        pointer: "/status/properties/phase/enum",
        ours: || {
            json!([
                "pending",
                "queued",
                "provisioning",
                "running",
                "input-required",
                "error",
                "done",
                "canceled"
            ])
        },
        theirs: || {
            json!([
                "pending",
                "provisioning",
                "running",
                "input-required",
                "error",
                "done",
                "canceled"
            ])
        },
        row: "| Query `status.phase` |",
    },
];

#[test]
fn crds_equal_arks_but_for_descriptions() {
    let root = Path::new(ROOT).join("../../../shared/compat/ark/crds");
    let Ok(folder) = std::fs::read_dir(root) else {
        println!("SKIPPED: Ark's CustomResourceDefinitions are not there");
        return;
    };
    let mut ours: BTreeMap<String, Value> = ark_api::crds()
        .into_iter()
        .map(|crd| (plural(&crd), crd))
        .collect();
    let mut differ = Vec::new();
    for entry in folder {
        let yaml = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let mut theirs: Value = serde_saphyr::from_str(&yaml).expect("valid YAML");
        let name = plural(&theirs);
        let mut ours = ours.remove(&name).expect("one of our kinds");
        normalize(&mut ours);
        normalize(&mut theirs);
        assert_eq!(ours["metadata"]["name"], theirs["metadata"]["name"]);
        let mut nodes = Vec::new();
        compare("", &ours["spec"], &theirs["spec"], &mut nodes);
        differ.extend(
            nodes
                .into_iter()
                .map(|(pointer, ours, theirs)| (name.clone(), pointer, ours, theirs)),
        );
    }
    differ.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let listed = DIFFERENCES.iter().map(|difference| {
        let pointer = format!(
            "/versions/0/schema/openAPIV3Schema/properties{}",
            difference.pointer
        );
        let (ours, theirs) = ((difference.ours)(), (difference.theirs)());
        (difference.plural.to_owned(), pointer, ours, theirs)
    });
    assert_eq!(differ, listed.collect::<Vec<_>>());
    assert!(
        ours.is_empty(),
        "kinds that Ark does not have: {:?}",
        ours.keys()
    );
}

#[test]
fn the_page_lists_each_difference() {
    let page = Path::new(ROOT).join("../../docs/COMPATIBILITY.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("Added to the schemas"));
    let rows = section
        .expect("a section")
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), DIFFERENCES.len(), "{rows:?}");
    for Difference { row, .. } in DIFFERENCES {
        assert!(
            rows.iter().any(|line| line.starts_with(row)),
            "{row} is missing"
        );
    }
}

fn plural(crd: &Value) -> String {
    crd["spec"]["names"]["plural"]
        .as_str()
        .expect("a plural")
        .to_owned()
}

/// The topmost nodes that differ, with both values; a node that is not there is null.
fn compare(pointer: &str, ours: &Value, theirs: &Value, nodes: &mut Vec<(String, Value, Value)>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let at = |object: &Value| object.get(key).cloned().unwrap_or(Value::Null);
                compare(&format!("{pointer}/{key}"), &at(ours), &at(theirs), nodes);
            }
        }
        (Value::Array(a), Value::Array(b))
            if a.len() == b.len() && a.iter().any(Value::is_object) =>
        {
            for (i, (ours, theirs)) in a.iter().zip(b).enumerate() {
                compare(&format!("{pointer}/{i}"), ours, theirs, nodes);
            }
        }
        _ if ours == theirs => {}
        _ => nodes.push((pointer.to_owned(), ours.clone(), theirs.clone())),
    }
}

/// Removes descriptions and sorts the lists of required fields.
fn normalize(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // A property may be called description; that one is a schema, not a text.
            if object.get("description").is_some_and(Value::is_string) {
                object.remove("description");
            }
            if let Some(Value::Array(required)) = object.get_mut("required") {
                required.sort_by_key(Value::to_string);
            }
            object.values_mut().for_each(normalize);
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        _ => {}
    }
}
