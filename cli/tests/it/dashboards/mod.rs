//! Dashboards, alert rules and their pages against what the roles really export.

mod alerts;
mod brown_out;
mod names;
mod outages;
mod promql;
mod roles;
mod scrape;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::promql::{Expr, Parser};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(repository().join("grafana/dashboards")).unwrap();
    let mut names: Vec<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
        .into_iter()
        .map(|name| {
            let board = serde_json::from_str(&text(&format!("grafana/dashboards/{name}")));
            (name, board.unwrap())
        })
        .collect()
}

/// Something that Prometheus is asked, and where it stands.
struct Asked {
    place: String,
    legend: String,
    promql: Expr,
}

fn asked(place: String, legend: &str, promql: &str) -> Asked {
    let promql = promql
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1h");
    Asked {
        promql: Parser::parse(&promql).unwrap_or_else(|e| panic!("{place}: {e} in {promql}")),
        place,
        legend: legend.to_owned(),
    }
}

fn panels() -> Vec<Asked> {
    let mut all = Vec::new();
    for (file, board) in dashboards() {
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let place = format!("{file}: {}", panel["title"].as_str().unwrap());
                let legend = target["legendFormat"].as_str().unwrap();
                all.push(asked(place, legend, target["expr"].as_str().unwrap()));
            }
        }
    }
    all
}

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&text("grafana/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn alerts() -> Vec<Asked> {
    let expr = |rule: &Value| {
        let name = rule["alert"].as_str().unwrap().to_owned();
        asked(name, "", rule["expr"].as_str().unwrap())
    };
    rules().iter().map(expr).collect()
}

#[test]
fn dashboards_are_complete() {
    let mut uids = BTreeSet::new();
    for (file, board) in dashboards() {
        assert!(uids.insert(board["uid"].as_str().unwrap().to_owned()));
        assert!(
            board.get("id").is_none(),
            "{file}: Grafana gives the id itself"
        );
        assert!(board["schemaVersion"].as_u64().unwrap() >= 39, "{file}");
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(
            variables
                .iter()
                .any(|v| v["type"] == "datasource" && v["name"] == "datasource")
        );
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{file}: {title}: id"
            );
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|d| d.contains('?')),
                "{file}: {title} answers a question"
            );
            let mut asking = panel["targets"].as_array().unwrap().clone();
            asking.push(panel.clone());
            for source in asking.iter().map(|a| &a["datasource"]["uid"]) {
                assert_eq!(source, "${datasource}", "{file}: {title}");
            }
            let grid = &panel["gridPos"];
            assert!(grid["x"].as_u64().unwrap() + grid["w"].as_u64().unwrap() <= 24);
        }
    }
}
