//! The direction of dependencies between our crates, and the files that the pages name.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// What each crate may use; tests may use more.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("ark-api", &[]),
    ("ark-plan", &["ark-api"]),
    ("ark-postgres", &[]),
    ("ark-store", &["ark-plan", "ark-postgres"]),
    ("ark-apiserver", &["ark-api", "ark-store"]),
    ("ark-dispatcher", &["ark-api", "ark-plan", "ark-store"]),
    ("ark-worker", &["ark-api", "ark-plan", "ark-store"]),
    ("ark-loadtest", &["ark-store", "ark-plan", "ark-postgres"]),
    (
        "ark-cli",
        &[
            "ark-api",
            "ark-apiserver",
            "ark-dispatcher",
            "ark-loadtest",
            "ark-plan",
            "ark-postgres",
            "ark-store",
            "ark-worker",
        ],
    ),
];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap();
            (
                name(package),
                used.iter()
                    .filter(|used| used["kind"].is_null())
                    .map(name)
                    .collect(),
            )
        })
        .collect()
}

#[test]
fn crates_use_only_what_stands_below_them() {
    let dependencies = dependencies();
    assert_eq!(
        dependencies.len(),
        ALLOWED.len(),
        "a crate is missing from the table"
    );
    for (name, allowed) in ALLOWED {
        let ours = dependencies[name]
            .iter()
            .filter(|used| used.starts_with("ark-"));
        for used in ours {
            assert!(
                allowed.contains(&used.as_str()),
                "{name} must not use {used}"
            );
        }
    }
}

#[test]
fn sql_and_io_stay_where_they_belong() {
    for (name, used) in dependencies() {
        if name != "ark-store" {
            assert!(
                !used.contains(&"sqlx".to_owned()),
                "{name} uses sqlx; SQL lives in schema/store"
            );
        }
        if ["ark-api", "ark-plan"].contains(&name.as_str()) {
            assert!(
                !used.contains(&"tokio".to_owned()),
                "{name} is pure and must not use tokio"
            );
        }
    }
}

/// Pages go stale by the files that they name.
#[test]
fn the_pages_name_files_that_are_there() {
    const TOP: [&str; 10] = [
        "apiserver/",
        "cli/",
        "deploy/",
        "dispatcher/",
        "docs/",
        "examples/",
        "grafana/",
        "loadtest/",
        "schema/",
        "worker/",
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    let pages = docs.map(|entry| entry.unwrap().path());
    let mut named = 0;
    for page in pages.chain([root.join("README.md"), root.join("grafana/README.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let linked = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        let folder = page.parent().unwrap();
        for path in quoted.filter(|path| TOP.iter().any(|top| path.starts_with(top))) {
            let is_path = path
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            assert!(
                !is_path || root.join(path).exists(),
                "{}: {path}",
                page.display()
            );
            named += usize::from(is_path);
        }
        for path in linked.filter(|path| !path.is_empty() && !path.contains(':')) {
            assert!(folder.join(path).exists(), "{}: {path}", page.display());
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}
