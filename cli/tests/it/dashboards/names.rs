//! What is asked for exists, and docs/METRICS.md explains it.

use std::collections::{BTreeMap, BTreeSet};

use super::scrape::{Scrape, Window, family};
use super::{alerts, panels, text};

/// Each metric and label that is asked for exists.
pub fn check_names(scrape: &Scrape) {
    for asked in panels().into_iter().chain(alerts()) {
        let mut used = Vec::new();
        asked.promql.names(&BTreeSet::new(), &mut used);
        assert!(!used.is_empty(), "{}", asked.place);
        for (metric, label) in used {
            let known = scrape
                .labels(&metric)
                .unwrap_or_else(|| panic!("{}: no role exports {metric}", asked.place));
            assert!(
                known.contains(&label),
                "{}: {metric} has {known:?}, not {label}",
                asked.place
            );
        }
    }
}

/// Each panel has data, with the labels that its legend names.
pub fn check_panels(window: &Window<'_>) {
    for panel in panels() {
        let series = panel.promql.value(window);
        assert!(!series.is_empty(), "{} has no data", panel.place);
        for label in panel.legend.split("{{").skip(1) {
            let label = label.split("}}").next().unwrap_or_default();
            assert!(
                series.iter().any(|(labels, _)| labels.contains_key(label)),
                "{}: no {label}",
                panel.place
            );
        }
    }
}

/// One row of docs/METRICS.md.
struct Explained {
    kind: String,
    /// The values that are listed, by label; none where the label is open.
    labels: BTreeMap<String, Vec<String>>,
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn explained() -> BTreeMap<String, Explained> {
    let page = text("docs/METRICS.md");
    let queue = text("docs/QUEUE.md");
    let (_, classes) = queue.split_once("\n## Failures\n").unwrap();
    let classes = quoted(classes.split("\n## ").next().unwrap());
    let rows = page.lines().filter(|line| line.starts_with("| `ark_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 4 && !cells[3].is_empty(), "{row}");
        let parts = cells[2].split(';').filter(|part| part.contains('`'));
        let labels = parts.map(|part| {
            let mut values = quoted(part);
            let label = values.remove(0);
            if part.contains("QUEUE.md") {
                values.extend(classes.clone());
            }
            (label, values)
        });
        let explained = Explained {
            kind: cells[1].to_owned(),
            labels: labels.collect(),
        };
        (quoted(cells[0]).remove(0), explained)
    })
    .collect()
}

/// docs/METRICS.md explains what is exported, and nothing else; what is asked for has values that exist.
pub fn check_page(scrape: &Scrape) {
    let explained = explained();
    for (name, kind) in &scrape.families {
        let row = explained
            .get(name)
            .unwrap_or_else(|| panic!("METRICS does not explain {name}"));
        assert_eq!(&row.kind, kind, "{name}");
        let labels: BTreeSet<String> = row.labels.keys().cloned().collect();
        assert_eq!(scrape.own_labels(name), labels, "{name}");
    }
    for name in explained.keys() {
        assert!(scrape.families.contains_key(name), "nobody exports {name}");
    }
    for asked in panels().into_iter().chain(alerts()) {
        asked.promql.each_selector(&mut |selector| {
            let family = family(&selector.metric);
            for (label, op, value) in &selector.matchers {
                let listed = &explained[family].labels[label];
                for value in value.split('|').filter(|_| !listed.is_empty()) {
                    assert!(
                        listed.contains(&value.to_owned()),
                        "{}: {family} never has {label}{op}{value}",
                        asked.place
                    );
                }
            }
        });
    }
}
