//! What the page for operators says of each alert.

use std::collections::BTreeSet;

use super::{rules, text};

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

#[test]
fn the_critical_alerts_are_listed() {
    let section = alerts_section();
    let (_, list) = section.split_once("Critical ones wake somebody:").unwrap();
    let list = list.split("The others").next().unwrap();
    let names = list.split('[').skip(1);
    let listed: BTreeSet<String> = names
        .map(|rest| rest.split(']').next().unwrap_or_default().to_owned())
        .collect();
    let critical = rules()
        .into_iter()
        .filter(|rule| rule["labels"]["severity"] == "critical");
    let critical: BTreeSet<String> = critical
        .map(|rule| rule["alert"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, critical);
}

#[test]
fn links_within_the_page_lead_somewhere() {
    let page = text("docs/OPERATIONS.md");
    let headings = page.lines().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim().to_lowercase().replace(' ', "-"))
    });
    let headings: BTreeSet<String> = headings.collect();
    for link in page.split("](#").skip(1) {
        let link = link.split(')').next().unwrap_or_default();
        assert!(headings.contains(link), "#{link}");
    }
}
