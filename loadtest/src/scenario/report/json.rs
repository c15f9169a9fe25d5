//! The report as JSON: k6's summary, with the course of the run beside it.

use serde_json::{Map, Value, json};

use super::super::threshold::Aggregate;
use super::super::values::Values;
use super::series::{self, Slice};
use super::{Report, Verdict};

impl Report {
    /// The summary as JSON; times are in milliseconds, those of the course in seconds since the begin.
    pub fn json(&self) -> Value {
        let metrics = self
            .metrics()
            .map(|(metric, values)| (metric.name.to_owned(), shown(&values)));
        let mut metrics: Map<String, Value> = metrics.collect();
        for verdict in &self.verdicts {
            let metric = metrics.entry(verdict.text.clone());
            let metric = metric.or_insert_with(|| shown(&verdict.values));
            metric["thresholds"] = verdict.json();
        }
        let checks = self.checks().into_iter().map(
            |(name, hits, total)| json!({"name": name, "passes": hits, "fails": total - hits}),
        );
        let reasons = self.run.reasons.iter().map(|((phase, reason), count)| {
            json!({"phase": phase.name(), "reason": reason, "count": count})
        });
        let events = self.run.happened.iter().map(|event| {
            json!({"at": event.at.as_secs_f64(), "what": event.what, "problem": event.problem})
        });
        json!({
            "scenario": self.scenario.name,
            "passed": self.passed(),
            "state": {
                "startedAt": self.run.started_at.to_rfc3339(),
                "testRunDurationMs": self.run.took.as_secs_f64() * 1e3,
                "interrupted": self.interrupted,
            },
            "metrics": metrics,
            "root_group": {"checks": checks.collect::<Vec<_>>()},
            "notDone": reasons.collect::<Vec<_>>(),
            "events": events.collect::<Vec<_>>(),
            "warnings": self.warnings,
            "generator": {
                "cpuSeconds": self.generator.cpu_seconds,
                "brokenWatches": self.generator.broken_watches,
                "processors": std::thread::available_parallelism().map_or(1, usize::from),
            },
            "course": series::slices(&self.run).iter().map(Slice::json).collect::<Vec<_>>(),
            "samples": self.samples(),
        })
    }

    fn samples(&self) -> Vec<Value> {
        let samples = self.run.samples.iter().map(|sample| {
            let queue = sample.queue.map(|queue| {
                let totals = queue.totals;
                json!({
                    "ready": totals.ready, "scheduled": totals.scheduled, "running": totals.running,
                    "unreported": totals.unreported, "workers": totals.workers, "slots": totals.slots,
                    "oldestSeconds": queue.oldest_seconds,
                })
            });
            json!({"at": sample.at.as_secs_f64(), "vus": sample.vus, "queue": queue})
        });
        samples.collect()
    }
}

impl Verdict {
    fn json(&self) -> Value {
        let conditions = self.conditions.iter().map(|(condition, value, held)| {
            (condition.to_string(), json!({"ok": held, "value": value}))
        });
        Value::Object(conditions.collect())
    }
}

impl Slice {
    fn json(&self) -> Value {
        let failed = series::FAILED.iter().zip(self.failed);
        let failed: Map<String, Value> = failed
            .filter(|(_, rate)| *rate > 0.0)
            .map(|(phase, rate)| (phase.name().to_owned(), rate.into()))
            .collect();
        json!({
            "at": self.at, "intended": self.intended, "started": self.started, "done": self.done, "failed": failed,
            "med": self.latency(50.0), "p(95)": self.latency(95.0), "max": self.latency(100.0),
        })
    }
}

fn shown(values: &Values) -> Value {
    let aggregates: &[Aggregate] = match values {
        Values::Trend(_) => &[
            Aggregate::Average,
            Aggregate::Least,
            Aggregate::Median,
            Aggregate::Greatest,
            Aggregate::Percentile(90.0),
            Aggregate::Percentile(95.0),
            Aggregate::Percentile(99.0),
        ],
        Values::Counter { .. } => &[Aggregate::Count, Aggregate::Rate],
        Values::Rate { .. } => &[Aggregate::Rate],
        Values::Gauge(_) => &[Aggregate::Value, Aggregate::Least, Aggregate::Greatest],
    };
    let shown = aggregates
        .iter()
        .map(|aggregate| (aggregate.to_string(), json!(values.aggregate(*aggregate))));
    let mut shown: Map<String, Value> = shown.collect();
    match values {
        Values::Trend(times) => {
            shown.insert("count".to_owned(), times.len().into());
        }
        Values::Rate { hits, total } => {
            shown.insert("passes".to_owned(), (*hits).into());
            shown.insert("fails".to_owned(), (total - hits).into());
        }
        Values::Counter { .. } | Values::Gauge(_) => {}
    }
    Value::Object(shown)
}
