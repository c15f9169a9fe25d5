//! The metrics of a run: their names, and their values computed from its records.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::file::Scenario;
use super::record::{Phase, QueueSample, Record, Recording, Sample};
use super::threshold::{Aggregate, Selector};

/// A start that is later than this is counted as late.
pub(super) const LATE: Duration = Duration::from_millis(100);

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

/// What a metric has come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    /// Milliseconds, the smallest first.
    Trend(Vec<f64>),
    Counter {
        count: u64,
        per_second: f64,
    },
    Rate {
        hits: u64,
        total: u64,
    },
    /// In the order of time.
    Gauge(Vec<f64>),
}

impl Values {
    /// One of the values; `None` where there is nothing to compute it from.
    pub(super) fn aggregate(&self, aggregate: Aggregate) -> Option<f64> {
        use Aggregate::{Average, Count, Greatest, Least, Median, Percentile, Rate, Value};
        match (self, aggregate) {
            (Self::Trend(sorted), Least) => sorted.first().copied(),
            (Self::Trend(sorted), Greatest) => sorted.last().copied(),
            (Self::Trend(sorted), Median) => percentile(sorted, 50.0),
            (Self::Trend(sorted), Percentile(percent)) => percentile(sorted, percent),
            (Self::Trend(values) | Self::Gauge(values), Average) => average(values),
            (Self::Counter { count, .. }, Count) => Some(*count as f64),
            (Self::Counter { per_second, .. }, Rate) => Some(*per_second),
            (Self::Rate { hits, total }, Rate) => {
                (*total > 0).then(|| *hits as f64 / *total as f64)
            }
            (Self::Gauge(values), Value) => values.last().copied(),
            (Self::Gauge(values), Least) => values.iter().copied().reduce(f64::min),
            (Self::Gauge(values), Greatest) => values.iter().copied().reduce(f64::max),
            _ => None,
        }
    }
}

fn average(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Between two values it lies on the line that joins them, as in k6.
pub(super) fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = percent / 100.0 * last as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    Some(below + (above - below) * place.fract())
}

/// Computes what a metric has come to.
pub(super) fn values(selector: &Selector, scenario: &Scenario, run: &Recording) -> Values {
    let records = || {
        let records = run.records.iter();
        records.filter(|record| carries(selector, scenario, record))
    };
    let open = |record: &&Record| scenario.loads[record.load].executor.is_open();
    let late = |record: &&Record| record.started - record.intended > LATE;
    match selector.metric.as_str() {
        "checks" => checks(selector, scenario, records()),
        "query_duration" => trend(
            records().filter(|record| record.created.is_some()),
            |record| record.ended - record.intended,
        ),
        "query_create_duration" => trend(records(), |record| {
            record.created.unwrap_or(record.ended) - record.started
        }),
        "query_waiting" => times(records(), waiting),
        "query_executing" => times(records(), |record| record.executing),
        "query_failed" => {
            let hits = records().filter(|record| record.phase != Phase::Done);
            Values::Rate {
                hits: hits.count() as u64,
                total: records().count() as u64,
            }
        }
        "iteration_duration" => trend(records(), |record| record.ended - record.started),
        "start_delay" => trend(records().filter(open), |record| {
            record.started - record.intended
        }),
        "iterations" => {
            let ended = records().filter(|record| record.phase != Phase::Interrupted);
            counter(ended.count(), run.took)
        }
        "late_iterations" => counter(records().filter(open).filter(late).count(), run.took),
        "dropped_iterations" => counter(dropped(selector, scenario, run), run.took),
        "vus_max" => {
            let loads = scenario.loads.iter().map(|load| load.executor.max_vus());
            Values::Gauge(vec![f64::from(loads.sum::<u32>())])
        }
        gauge => Values::Gauge(run.samples.iter().filter_map(reading(gauge)).collect()),
    }
}

/// Reads a gauge from a sample; `None` for what was not asked for, or had no answer.
pub(super) fn reading(gauge: &str) -> impl Fn(&Sample) -> Option<f64> + '_ {
    move |sample| {
        let of_queue =
            |read: fn(&QueueSample) -> i64| sample.queue.as_ref().map(|queue| read(queue) as f64);
        match gauge {
            "vus" => Some(f64::from(sample.vus)),
            "queue_ready" => of_queue(|queue| queue.totals.ready),
            "queue_scheduled" => of_queue(|queue| queue.totals.scheduled),
            "queue_running" => of_queue(|queue| queue.totals.running),
            "queue_unreported" => of_queue(|queue| queue.totals.unreported),
            "queue_workers" => of_queue(|queue| queue.totals.workers),
            "queue_slots" => of_queue(|queue| queue.totals.slots),
            "queue_oldest_wait" => sample.queue.map(|queue| queue.oldest_seconds * 1e3),
            _ => None,
        }
    }
}

fn carries(selector: &Selector, scenario: &Scenario, record: &Record) -> bool {
    let load = &scenario.loads[record.load];
    selector
        .tags
        .iter()
        .all(|(name, value)| match name.as_str() {
            "namespace" => load.namespaces[record.namespace] == *value,
            "phase" => record.phase.name() == value,
            "check" => true,
            _ => load.tags.get(name) == Some(value),
        })
}

fn checks<'a>(
    selector: &Selector,
    scenario: &Scenario,
    records: impl Iterator<Item = &'a Record>,
) -> Values {
    let wanted = selector.tags.get("check");
    let mut bits = 0_u64;
    for (place, (name, _)) in scenario.checks.iter().enumerate() {
        if wanted.is_none_or(|wanted| wanted == name) {
            bits |= 1 << place;
        }
    }
    let (mut hits, mut total) = (0, 0);
    for record in records.filter(|record| record.phase != Phase::Interrupted) {
        hits += u64::from((record.checks & bits).count_ones());
        total += u64::from(bits.count_ones());
    }
    Values::Rate { hits, total }
}

fn dropped(selector: &Selector, scenario: &Scenario, run: &Recording) -> usize {
    let carries = |load: usize| {
        let tags = &scenario.loads[load].tags;
        selector
            .tags
            .iter()
            .all(|(name, value)| tags.get(name) == Some(value))
    };
    run.dropped
        .iter()
        .filter(|dropped| carries(dropped.load))
        .count()
}

/// From the answer of the create to the end, without the time in which the Query was executed.
fn waiting(record: &Record) -> Option<Duration> {
    let since_created = record.ended.saturating_sub(record.created?);
    Some(since_created.saturating_sub(record.executing?))
}

fn trend<'a>(
    records: impl Iterator<Item = &'a Record>,
    time: impl Fn(&Record) -> Duration,
) -> Values {
    times(records, |record| Some(time(record)))
}

fn times<'a>(
    records: impl Iterator<Item = &'a Record>,
    time: impl Fn(&Record) -> Option<Duration>,
) -> Values {
    let times = records.filter_map(time);
    let mut times: Vec<f64> = times.map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_unstable_by(f64::total_cmp);
    Values::Trend(times)
}

fn counter(count: usize, took: Duration) -> Values {
    Values::Counter {
        count: count as u64,
        per_second: crate::measure::rate(count as u64, took),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_their_neighbours() {
        let sorted = [10.0, 20.0, 30.0, 40.0];
        assert_eq!(percentile(&sorted, 0.0), Some(10.0));
        assert_eq!(percentile(&sorted, 50.0), Some(25.0));
        assert_eq!(percentile(&sorted, 90.0), Some(37.0));
        assert_eq!(percentile(&sorted, 100.0), Some(40.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

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
