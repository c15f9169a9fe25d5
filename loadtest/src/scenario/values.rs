//! What the metrics of a run have come to, computed from its records.

use std::time::Duration;

use super::file::Scenario;
use super::record::{Phase, QueueSample, Record, Recording, Sample};
use super::threshold::{Aggregate, Selector};

/// A start that is later than this is counted as late.
pub(super) const LATE: Duration = Duration::from_millis(100);

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
    let late = |record: &&Record| record.started.saturating_sub(record.intended) > LATE;
    match selector.metric.as_str() {
        "checks" => checks(selector, scenario, records()),
        "query_duration" => trend(
            records().filter(|record| record.created.is_some()),
            |record| record.ended.saturating_sub(record.intended),
        ),
        "query_create_duration" => trend(records(), |record| {
            record
                .created
                .unwrap_or(record.ended)
                .saturating_sub(record.started)
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
        "iteration_duration" => trend(records(), |record| {
            record.ended.saturating_sub(record.started)
        }),
        "start_delay" => trend(records().filter(open), |record| {
            record.started.saturating_sub(record.intended)
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
    use std::collections::BTreeMap;

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

    const SCENARIO: &str = "
scenarios:
  open:
    executor: constant-arrival-rate
    rate: 10
    duration: 1s
    maxVUs: 5
    exec: {target: {type: agent, name: a}, input: q, namespaces: [one, two]}
  closed:
    executor: constant-vus
    duration: 1s
    tags: {size: small}
    exec: {target: {type: agent, name: a}, input: q}
checks: {a: {phase: done}, b: {contains: x}}
";

    /// The times are those of the intended start, the actual one, the create's answer, and the end, in milliseconds.
    fn record(load: usize, namespace: usize, times: [u64; 4], phase: Phase) -> Record {
        let [intended, started, created, ended] = times.map(Duration::from_millis);
        let taken = phase != Phase::Refused;
        Record {
            load,
            namespace,
            intended,
            started,
            created: taken.then_some(created),
            ended,
            phase,
            executing: (phase == Phase::Done).then_some(Duration::from_millis(50)),
            checks: if phase == Phase::Done { 0b01 } else { 0 },
        }
    }

    fn recording() -> Recording {
        Recording {
            started_at: chrono::DateTime::UNIX_EPOCH,
            took: Duration::from_secs(2),
            // `closed` stands before `open`: scenarios are in the order of their names.
            records: vec![
                record(1, 0, [0, 0, 10, 110], Phase::Done),
                record(1, 1, [100, 900, 910, 1_100], Phase::Timeout),
                record(1, 0, [200, 201, 202, 203], Phase::Refused),
                record(0, 0, [0, 0, 5, 75], Phase::Done),
                record(0, 0, [80, 80, 85, 2_000], Phase::Interrupted),
            ],
            dropped: vec![super::super::record::Dropped {
                load: 1,
                intended: Duration::from_millis(300),
            }],
            samples: Vec::new(),
            happened: Vec::new(),
            reasons: BTreeMap::new(),
        }
    }

    #[test]
    fn latency_counts_from_the_intended_start_of_every_query_that_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scenario.yaml");
        std::fs::write(&file, SCENARIO).unwrap();
        let scenario = Scenario::read(&file, &BTreeMap::new()).unwrap();
        let run = recording();
        let of = |text| values(&Selector::parse(text).unwrap(), &scenario, &run);
        let trend = |times: &[f64]| Values::Trend(times.to_vec());
        assert_eq!(
            of("query_duration"),
            trend(&[75.0, 110.0, 1_000.0, 1_920.0])
        );
        assert_eq!(of("query_duration{namespace:two}"), trend(&[1_000.0]));
        assert_eq!(of("query_duration{size:small,phase:done}"), trend(&[75.0]));
        assert_eq!(of("query_waiting"), trend(&[20.0, 50.0]));
        assert_eq!(of("iteration_duration{phase:timeout}"), trend(&[200.0]));
        assert_eq!(of("start_delay"), trend(&[0.0, 1.0, 800.0]));
        let count = |count: u64| Values::Counter {
            count,
            per_second: count as f64 / 2.0,
        };
        assert_eq!(of("iterations"), count(4));
        assert_eq!(of("late_iterations"), count(1));
        assert_eq!(of("dropped_iterations{scenario:open}"), count(1));
        assert_eq!(of("dropped_iterations{scenario:closed}"), count(0));
        assert_eq!(of("query_failed"), Values::Rate { hits: 3, total: 5 });
        // The interrupted one is not judged.
        assert_eq!(of("checks"), Values::Rate { hits: 2, total: 8 });
        assert_eq!(of("checks{check:b}"), Values::Rate { hits: 0, total: 4 });
        assert_eq!(
            of("query_duration{phase:error}").aggregate(Aggregate::Greatest),
            None
        );
    }
}
