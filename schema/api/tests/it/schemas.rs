//! Our CustomResourceDefinitions against those of Ark 0.1.67.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

/// Where we differ, and why.
const DIFFERENCES: [(&str, &str); 2] = [
    // Release 0.1.68 has this field.
    ("mcpservers", "/spec/properties/toolCallTimeout"),
    // Release 0.1.68 has the phase "queued".
    ("queries", "/status/properties/phase/enum"),
];

#[test]
fn crds_equal_arks_but_for_descriptions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat/ark/crds");
    let Ok(folder) = std::fs::read_dir(root) else {
        println!("SKIPPED: Ark's CustomResourceDefinitions are not there");
        return;
    };
    let mut ours: BTreeMap<String, Value> = ark_api::crds()
        .into_iter()
        .map(|crd| (plural(&crd), crd))
        .collect();
    for entry in folder {
        let yaml = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let theirs: Value = serde_saphyr::from_str(&yaml).expect("valid YAML");
        let name = plural(&theirs);
        let mut ours = ours.remove(&name).expect("one of our kinds");
        let mut theirs = theirs;
        for crd in [&mut ours, &mut theirs] {
            normalize(crd);
            for (_, pointer) in DIFFERENCES.iter().filter(|(plural, _)| *plural == name) {
                remove(crd, &format!("{SCHEMA}/properties{pointer}"));
            }
        }
        assert_eq!(ours["spec"], theirs["spec"], "{name}");
    }
    assert!(
        ours.is_empty(),
        "kinds that Ark does not have: {:?}",
        ours.keys()
    );
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

fn plural(crd: &Value) -> String {
    crd["spec"]["names"]["plural"]
        .as_str()
        .expect("a plural")
        .to_owned()
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

fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let empty = &mut json!({});
    let parent = value.pointer_mut(parent).unwrap_or(empty);
    parent
        .as_object_mut()
        .map(|parent: &mut Map<String, Value>| parent.remove(name));
}
