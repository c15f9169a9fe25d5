//! What docs/PROVIDERS.md says, held against what is.

use ark_api::admission::{Found, MissingSecrets, ModelUrlPolicy, Rules, default, validate_with};
use ark_plan::Class;
use serde_json::Value;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROVIDERS.md"));

#[test]
fn its_manifests_are_admitted() {
    let manifests: Vec<&str> = PAGE
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(manifests.len(), 4);
    let rules = Rules {
        model_urls: ModelUrlPolicy::Strict,
        missing_secrets: MissingSecrets::Warn,
    };
    for manifest in manifests {
        let mut object: Value = serde_saphyr::from_str(manifest).unwrap();
        object["metadata"]["namespace"] = "default".into();
        let kind = object["kind"].as_str().unwrap().to_owned();
        default(&kind, &mut object, &Found::new());
        let verdict = validate_with(&kind, &object, &Found::new(), rules);
        assert_eq!(verdict.errors, [], "{manifest}");
    }
}

#[test]
fn its_table_of_classes_is_right() {
    let rows = PAGE.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let retried = match cells.last()?.trim_end_matches(" |") {
            "yes" => true,
            "no" => false,
            _ => return None,
        };
        Some((cells[0].trim_end_matches('`').to_owned(), retried))
    });
    let rows: Vec<(String, bool)> = rows.collect();
    assert_eq!(rows.len(), 9, "{rows:?}");
    for (name, retried) in rows {
        let class: Class = serde_json::from_value(name.clone().into()).unwrap();
        assert_eq!(class.is_retryable(), retried, "{name}");
    }
}
