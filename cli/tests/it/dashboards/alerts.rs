//! What the page for operators says of each alert, and that its commands run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{rules, text};
use crate::system::System;

/// The section `## Alerts` of the page for operators.
fn alerts_section() -> String {
    let page = text("docs/OPERATIONS.md");
    let (_, section) = page.split_once("\n## Alerts\n").expect("a section Alerts");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

#[test]
fn each_alert_is_explained() {
    let section = alerts_section();
    let mut headings: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("### Ark"))
        .collect();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        let annotations = &rule["annotations"];
        for field in ["summary", "description"] {
            assert!(
                annotations[field].as_str().is_some_and(|t| t.len() > 10),
                "{name}: {field}"
            );
        }
        let anchor = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        assert_eq!(annotations["runbook_url"], anchor.as_str());
        let short = name.strip_prefix("Ark").expect("a name with our prefix");
        assert!(headings.remove(short), "OPERATIONS does not explain {name}");
    }
    assert!(
        headings.is_empty(),
        "explained, and no alert: Ark{headings:?}"
    );
    for part in section.split("\n### Ark").skip(1) {
        for word in ["**Means:**", "**Look:**", "**Do:**"] {
            assert!(part.contains(word), "Ark{part:.30}: {word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_alerts_run() {
    for tool in ["psql", "kubectl"] {
        let asked = Command::new(tool).arg("--help").output().await;
        if asked.is_err() {
            println!("SKIPPED: {tool} is not installed");
            return;
        }
    }
    let system = System::start(Duration::ZERO, 0).await;
    let section = alerts_section();
    let fenced = |language: &str| -> Vec<String> {
        let fence = format!("```{language}\n");
        let blocks = section.split(&fence).skip(1);
        blocks
            .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
            .collect()
    };
    let queries = fenced("sql");
    assert!(queries.len() > 10);
    let mut commands: Vec<String> = queries
        .iter()
        .map(|sql| format!("psql -X -v ON_ERROR_STOP=1 \"$ARK_DATABASE_URL\" <<'END'\n{sql}END"))
        .collect();
    // The others need the charts in a cluster.
    let here = ["ark ", "psql ", "kubectl get queries", "kubectl get --raw"];
    let lines = fenced("console").concat();
    commands.extend(
        lines
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .filter(|line| here.iter().any(|start| line.starts_with(start)))
            .map(str::to_owned),
    );
    assert!(commands.len() >= queries.len() + 4);
    let program = Path::new(env!("CARGO_BIN_EXE_ark")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    for command in commands {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &command])
            .env("PATH", &path)
            .env("ARK_DATABASE_URL", &system.url)
            .env("KUBECONFIG", system.folder.path().join("api/kubeconfig"));
        let output = shell.stdin(Stdio::null()).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{errors}");
    }
}
