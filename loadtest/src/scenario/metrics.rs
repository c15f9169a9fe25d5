//! The metrics of a run by name: their kinds, and what thresholds may ask of them.

use anyhow::{Context, ensure};

use super::threshold::{Aggregate, Selector};

/// The tags that every run has; `scenario` and a load's own tags come beside them.
pub(super) const TAGS: [&str; 3] = ["namespace", "phase", "check"];

/// What sort of values a metric has, as in k6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Times in milliseconds.
    Trend,
    Counter,
    Rate,
    Gauge,
}

/// A metric's name, kind, and the part of the summary that it stands in.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) part: &'static str,
}

const fn metric(name: &'static str, kind: Kind, part: &'static str) -> Metric {
    Metric { name, kind, part }
}

const QUERIES: &str = "QUERIES";
const EXECUTION: &str = "EXECUTION";
/// The part that is there only with a database.
pub(super) const QUEUE: &str = "QUEUE";

/// All metrics, in the order of the summary.
pub(super) const METRICS: [Metric; 20] = [
    metric("checks", Kind::Rate, "CHECKS"),
    metric("query_duration", Kind::Trend, QUERIES),
    metric("query_create_duration", Kind::Trend, QUERIES),
    metric("query_waiting", Kind::Trend, QUERIES),
    metric("query_executing", Kind::Trend, QUERIES),
    metric("query_failed", Kind::Rate, QUERIES),
    metric("iteration_duration", Kind::Trend, EXECUTION),
    metric("iterations", Kind::Counter, EXECUTION),
    metric("start_delay", Kind::Trend, EXECUTION),
    metric("late_iterations", Kind::Counter, EXECUTION),
    metric("dropped_iterations", Kind::Counter, EXECUTION),
    metric("vus", Kind::Gauge, EXECUTION),
    metric("vus_max", Kind::Gauge, EXECUTION),
    metric("queue_ready", Kind::Gauge, QUEUE),
    metric("queue_oldest_wait", Kind::Gauge, QUEUE),
    metric("queue_running", Kind::Gauge, QUEUE),
    metric("queue_scheduled", Kind::Gauge, QUEUE),
    metric("queue_unreported", Kind::Gauge, QUEUE),
    metric("queue_workers", Kind::Gauge, QUEUE),
    metric("queue_slots", Kind::Gauge, QUEUE),
];

/// The metric of a name.
///
/// # Errors
/// When there is none.
pub(super) fn find(name: &str) -> anyhow::Result<&'static Metric> {
    let found = METRICS.iter().find(|metric| metric.name == name);
    found.with_context(|| {
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        format!(
            "there is no metric {name:?}; there are {}",
            names.join(", ")
        )
    })
}

/// Refuses what a threshold cannot ask for.
pub(super) fn check(selector: &Selector, aggregate: Aggregate) -> anyhow::Result<()> {
    let metric = find(&selector.metric)?;
    use Aggregate::{Average, Count, Greatest, Least, Median, Percentile, Rate, Value};
    let has = match metric.kind {
        Kind::Trend => matches!(
            aggregate,
            Average | Least | Median | Greatest | Percentile(_)
        ),
        Kind::Counter => matches!(aggregate, Count | Rate),
        Kind::Rate => matches!(aggregate, Rate),
        Kind::Gauge => matches!(aggregate, Value | Least | Greatest | Average),
    };
    let name = metric.name;
    ensure!(has, "{name} is a {:?} and has no {aggregate}", metric.kind);
    let tagged = !selector.tags.is_empty();
    ensure!(
        !(tagged && metric.kind == Kind::Gauge),
        "{name} carries no tags"
    );
    let of_check = selector.tags.contains_key("check");
    ensure!(
        !of_check || name == "checks",
        "{name} does not carry the tag check"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_asks_only_for_what_a_metric_has() {
        let ask = |metric: &str, aggregate| check(&Selector::parse(metric).unwrap(), aggregate);
        assert!(ask("query_duration", Aggregate::Percentile(99.0)).is_ok());
        assert!(ask("queue_ready", Aggregate::Greatest).is_ok());
        assert!(ask("checks{check:answered}", Aggregate::Rate).is_ok());
        assert!(ask("query_failed", Aggregate::Count).is_err());
        assert!(ask("queue_ready{scenario:x}", Aggregate::Value).is_err());
        assert!(ask("query_duration{check:answered}", Aggregate::Average).is_err());
    }

    #[test]
    fn the_page_on_load_tests_names_every_metric() {
        let page = include_str!("../../../docs/LOADTEST.md");
        for metric in &METRICS {
            assert!(
                page.contains(&format!("`{}`", metric.name)),
                "{}",
                metric.name
            );
        }
    }
}
