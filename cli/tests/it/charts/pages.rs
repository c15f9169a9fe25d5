//! What stands beside the charts: the pages' commands, the recipes for scaling.

use std::path::Path;

use super::{ROOT, helm, run_helm};

#[tokio::test]
async fn the_commands_of_the_pages_render() {
    let Some(helm) = helm().await else { return };
    let mut rendered = 0;
    for page in [
        "docs/OPERATIONS.md",
        "deploy/charts/ark-controller/README.md",
        "deploy/charts/ark-worker/README.md",
    ] {
        let text = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
        for command in text
            .replace("\\\n", " ")
            .lines()
            .map(|line| line.strip_prefix("$ ").unwrap_or(line))
            .filter(|line| line.starts_with("helm upgrade --install "))
        {
            let dropped = [
                "helm",
                "upgrade",
                "--install",
                "--create-namespace",
                "--wait",
            ];
            let words = command
                .split_whitespace()
                .filter(|word| !dropped.contains(word));
            let args: Vec<&str> = ["template"].into_iter().chain(words).collect();
            run_helm(helm, &args)
                .await
                .unwrap_or_else(|error| panic!("{page}: {command}: {error}"));
            rendered += 1;
        }
    }
    assert!(rendered >= 4, "{rendered} commands were found");
}

#[test]
fn the_scalers_read_metrics_that_there_are() {
    let read = |path: &str| std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let documented = read("docs/METRICS.md");
    for file in [
        "deploy/charts/ark-worker/values.yaml",
        "deploy/examples/prometheus-adapter-values.yaml",
    ] {
        let text = read(file);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics: Vec<&str> = words.filter(|word| word.starts_with("ark_")).collect();
        assert!(
            metrics.contains(&"ark_queue_executions"),
            "{file}: {metrics:?}"
        );
        for metric in metrics {
            // The name that the adapter gives to the external metric.
            let known = metric == "ark_queue_depth" || documented.contains(&format!("`{metric}`"));
            assert!(known, "{file}: no role exports {metric}");
        }
    }
}
