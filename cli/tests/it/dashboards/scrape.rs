//! What Prometheus would store.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;
pub type Vector = Vec<(Labels, f64)>;

pub const NAME: &str = "__name__";

/// One reading of all roles.
#[derive(Default)]
pub struct Scrape {
    pub series: BTreeMap<Labels, f64>,
    /// Types by the names that docs/METRICS.md uses.
    pub families: BTreeMap<String, String>,
}

/// Two scrapes, a minute apart as far as rates are concerned.
pub struct Window<'s> {
    pub from: &'s Scrape,
    pub to: &'s Scrape,
}

pub const SECONDS: f64 = 60.0;

pub fn window<'s>(from: &'s Scrape, to: &'s Scrape) -> Window<'s> {
    Window { from, to }
}

/// The name without the suffix of a histogram's series.
pub fn family(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix))
        .unwrap_or(metric)
}

impl Scrape {
    pub fn read(&mut self, job: &str, instance: &str, text: &str) {
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let suffix = if kind == "counter" { "_total" } else { "" };
                self.families
                    .insert(format!("{name}{suffix}"), kind.to_owned());
            } else if !line.starts_with('#') {
                // An exemplar follows the value.
                let line = line.split(" # ").next().unwrap_or_default();
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let mut all = Labels::from([
                    (NAME.to_owned(), name.to_owned()),
                    ("job".to_owned(), job.to_owned()),
                    ("instance".to_owned(), instance.to_owned()),
                ]);
                for pair in labels.trim_end_matches('}').split("\",") {
                    if let Some((label, value)) = pair.split_once("=\"") {
                        let value = value.trim_end_matches('"');
                        // To Prometheus an empty label is none.
                        if !value.is_empty() {
                            all.insert(label.to_owned(), value.to_owned());
                        }
                    }
                }
                self.series.insert(all, value.parse().unwrap());
            }
        }
    }

    pub fn labels(&self, metric: &str) -> Option<BTreeSet<String>> {
        let mut found = self.series.keys().filter(|key| key[NAME] == metric);
        let first = found.next()?;
        Some(
            found
                .chain([first])
                .flat_map(Labels::keys)
                .cloned()
                .collect(),
        )
    }

    /// The labels that the role itself gives.
    pub fn own_labels(&self, name: &str) -> BTreeSet<String> {
        let given = [NAME, "job", "instance", "le"];
        let series = self.series.keys().filter(|key| family(&key[NAME]) == name);
        series
            .flat_map(Labels::keys)
            .filter(|label| !given.contains(&label.as_str()))
            .cloned()
            .collect()
    }
}
