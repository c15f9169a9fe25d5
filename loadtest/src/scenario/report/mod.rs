//! The report of a run: verdicts on its thresholds, and three ways to show it.

mod html;
mod json;
mod plot;
mod plots;
mod series;
mod text;
mod units;

use nix::sys::resource::{UsageWho, getrusage};

use super::file::Scenario;
use super::metrics::{METRICS, Metric};
use super::record::{Phase, Recording};
use super::threshold::{Condition, Selector};
use super::values::{self, Values};

/// A share of late starts above this is spoken of.
const LATE_SHARE: f64 = 0.01;

/// What a run has come to; print it with `{}`, or export it as JSON and HTML.
#[derive(Debug)]
pub struct Report {
    scenario: Scenario,
    run: Recording,
    verdicts: Vec<Verdict>,
    generator: Generator,
    interrupted: bool,
    /// What a reader should know before trusting the figures.
    warnings: Vec<String>,
}

/// What the generator itself took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generator {
    pub(super) cpu_seconds: f64,
    pub(super) broken_watches: u64,
}

/// What became of one threshold.
#[derive(Debug)]
struct Verdict {
    /// The selector as the file writes it.
    text: String,
    selector: Selector,
    values: Values,
    /// Each condition, the value that it asked for, and whether it held.
    conditions: Vec<(Condition, Option<f64>, bool)>,
}

/// The processor time of this process so far, in seconds.
pub(super) fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    usage.map_or(0.0, |usage| {
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}

impl Report {
    pub(super) fn new(
        scenario: Scenario,
        run: Recording,
        generator: Generator,
        interrupted: bool,
    ) -> Self {
        let verdicts = verdicts(&scenario, &run);
        let mut report = Self {
            warnings: Vec::new(),
            scenario,
            run,
            verdicts,
            generator,
            interrupted,
        };
        report.warnings = report.doubts();
        report
    }

    /// Whether every threshold holds, every event has happened, and nobody interrupted the run.
    pub fn passed(&self) -> bool {
        !self.interrupted && self.broken().is_empty() && self.failed_events() == 0
    }

    /// Whether the run was interrupted before its end.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// The thresholds that do not hold, as the file writes them.
    pub fn broken(&self) -> Vec<String> {
        let broken = self.verdicts.iter().flat_map(|verdict| {
            let failed = verdict.conditions.iter().filter(|(.., held)| !held);
            failed.map(|(condition, ..)| format!("{} {condition}", verdict.text))
        });
        broken.collect()
    }

    /// How many events failed.
    pub fn failed_events(&self) -> usize {
        let events = self.run.happened.iter();
        events.filter(|event| event.problem.is_some()).count()
    }

    /// Adds what went wrong after the load.
    pub(super) fn add_problems(&mut self, problems: Vec<String>) {
        self.warnings.extend(problems);
    }

    /// Tells of events for which the run was over too early.
    pub(super) fn note_missed_events(&mut self, planned: usize) {
        let missed = planned - self.run.happened.len();
        if missed > 0 {
            self.warnings
                .push(format!("the run was over before {missed} of its events"));
        }
    }

    fn values(&self, metric: &str) -> Values {
        let selector = Selector {
            metric: metric.to_owned(),
            tags: Default::default(),
        };
        values::values(&selector, &self.scenario, &self.run)
    }

    /// The metrics that have something to say, in the order of the summary.
    fn metrics(&self) -> impl Iterator<Item = (&'static Metric, Values)> + '_ {
        let all = METRICS
            .iter()
            .map(|metric| (metric, self.values(metric.name)));
        all.filter(|(metric, values)| match values {
            Values::Trend(values) | Values::Gauge(values) => !values.is_empty(),
            Values::Rate { total, .. } => *total > 0,
            Values::Counter { count, .. } => *count > 0 || metric.name == "iterations",
        })
    }

    fn checks(&self) -> Vec<(&str, u64, u64)> {
        let one = |name: &str| {
            let tags = [("check".to_owned(), name.to_owned())];
            let selector = Selector {
                metric: "checks".to_owned(),
                tags: tags.into(),
            };
            match values::values(&selector, &self.scenario, &self.run) {
                Values::Rate { hits, total } => (hits, total),
                _ => (0, 0),
            }
        };
        let names = self.scenario.checks.iter().map(|(name, _)| name.as_str());
        names
            .map(|name| {
                let (hits, total) = one(name);
                (name, hits, total)
            })
            .collect()
    }

    fn interrupted_iterations(&self) -> usize {
        let records = self.run.records.iter();
        records
            .filter(|record| record.phase == Phase::Interrupted)
            .count()
    }

    fn count(&self, metric: &str) -> u64 {
        match self.values(metric) {
            Values::Counter { count, .. } => count,
            _ => 0,
        }
    }

    /// What speaks against believing the figures.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let dropped = self.count("dropped_iterations");
        if dropped > 0 {
            doubts.push(format!(
                "the generator did not keep its rate: {dropped} iterations never started, because all VUs were busy to the end; \
                 latencies leave them out (raise maxVUs, or the system is too slow for this rate)"
            ));
        }
        let open = |load: usize| self.scenario.loads[load].executor.is_open();
        let open = self
            .run
            .records
            .iter()
            .filter(|record| open(record.load))
            .count();
        let late = self.count("late_iterations");
        if late as f64 > LATE_SHARE * open as f64 {
            doubts.push(format!(
                "the generator did not keep its rate: {late} of {open} iterations started more than {} ms late; their latency \
                 counts from the intended start all the same",
                values::LATE.as_millis()
            ));
        }
        let interrupted = self.interrupted_iterations();
        if interrupted > 0 {
            doubts.push(format!(
                "{interrupted} Queries were under way when the run ended; their latency counts up to there"
            ));
        }
        let share = self.generator.cpu_seconds / self.run.took.as_secs_f64().max(1e-3);
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        if share > 0.5 * processors {
            doubts.push(format!(
                "the generator used {share:.1} of {processors} processors; on the same machine it takes them from what it measures"
            ));
        }
        if self.generator.broken_watches > 0 {
            doubts.push(format!(
                "the watch broke {} times; ends were seen later than they happened",
                self.generator.broken_watches
            ));
        }
        if self.interrupted {
            doubts.push("the run was interrupted".to_owned());
        }
        doubts
    }
}

fn verdicts(scenario: &Scenario, run: &Recording) -> Vec<Verdict> {
    let one = |threshold: &super::threshold::Threshold| {
        let values = values::values(&threshold.selector, scenario, run);
        let conditions = threshold.conditions.iter().map(|condition| {
            let value = values.aggregate(condition.aggregate);
            // A threshold that measured nothing says nothing good.
            let held = value.is_some_and(|value| condition.holds(value));
            (condition.clone(), value, held)
        });
        Verdict {
            text: threshold.text.clone(),
            selector: threshold.selector.clone(),
            conditions: conditions.collect(),
            values,
        }
    };
    scenario.thresholds.iter().map(one).collect()
}
