//! The summary as text, in the form of k6's.

use std::fmt;

use super::super::metrics;
use super::super::threshold::Aggregate;
use super::super::values::Values;
use super::{Report, Verdict, units};

/// The columns of a trend.
const COLUMNS: [Aggregate; 7] = [
    Aggregate::Average,
    Aggregate::Least,
    Aggregate::Median,
    Aggregate::Greatest,
    Aggregate::Percentile(90.0),
    Aggregate::Percentile(95.0),
    Aggregate::Percentile(99.0),
];
/// How far the dots after a metric's name go.
const NAMES: usize = 42;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_thresholds(f)?;
        self.write_totals(f)?;
        self.write_failures(f)?;
        self.write_events(f)?;
        if !self.warnings.is_empty() {
            writeln!(f, "\n  █ WARNINGS\n")?;
            for warning in &self.warnings {
                writeln!(f, "    ! {warning}")?;
            }
        }
        writeln!(
            f,
            "\nran ({:.1}s), {} complete and {} interrupted iterations; the generator used {:.1}s of processor time",
            self.run.took.as_secs_f64(),
            self.count("iterations"),
            self.interrupted_iterations(),
            self.generator.cpu_seconds
        )
    }
}

impl Report {
    fn write_thresholds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verdicts.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n  █ THRESHOLDS")?;
        for verdict in &self.verdicts {
            writeln!(f, "\n    {}", verdict.text)?;
            for (condition, value, held) in &verdict.conditions {
                let found = verdict.found(condition.aggregate, *value);
                writeln!(f, "    {} '{condition}' {found}", mark(*held))?;
            }
        }
        Ok(())
    }

    fn write_totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n  █ TOTAL RESULTS")?;
        let mut part = "";
        for (metric, values) in self.metrics() {
            if metric.part != part {
                part = metric.part;
                writeln!(f)?;
                if metric.name != "checks" {
                    writeln!(f, "    {part}")?;
                }
            }
            if metric.name == "checks" {
                self.write_checks(f, &values)?;
                continue;
            }
            line(f, metric.name, &row(metric.name, &values))?;
            for verdict in &self.verdicts {
                if verdict.selector.metric == metric.name && !verdict.selector.tags.is_empty() {
                    let tags = verdict.text.split_once('{').map_or("", |(_, tags)| tags);
                    let name = format!("  {{ {} }}", tags.trim_end_matches('}'));
                    line(f, &name, &row(metric.name, &verdict.values))?;
                }
            }
        }
        Ok(())
    }

    fn write_checks(&self, f: &mut fmt::Formatter<'_>, values: &Values) -> fmt::Result {
        let Values::Rate { hits, total } = values else {
            return Ok(());
        };
        let failed = total - hits;
        let rate = crate::measure::rate(*total, self.run.took);
        writeln!(f, "    checks_total.......: {total:<7} {rate:.2}/s")?;
        let of = |count: u64| {
            format!(
                "{:<7} {count} out of {total}",
                units::percent(count, *total)
            )
        };
        writeln!(f, "    checks_succeeded...: {}", of(*hits))?;
        writeln!(f, "    checks_failed......: {}\n", of(failed))?;
        for (name, hits, total) in self.checks() {
            writeln!(f, "    {} {name}", mark(hits == total))?;
            if hits != total {
                let share = units::percent(hits, total);
                writeln!(f, "      ↳  {share} — ✓ {hits} / ✗ {}", total - hits)?;
            }
        }
        Ok(())
    }

    fn write_failures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.run.reasons.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n  █ NOT DONE\n")?;
        for ((phase, reason), count) in &self.run.reasons {
            writeln!(f, "    {count:>7} × {}: {reason}", phase.name())?;
        }
        Ok(())
    }

    fn write_events(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.run.happened.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n  █ EVENTS\n")?;
        for event in &self.run.happened {
            let at = event.at.as_secs_f64();
            writeln!(
                f,
                "    {} {at:>7.1}s  {}",
                mark(event.problem.is_none()),
                event.what
            )?;
            if let Some(problem) = &event.problem {
                writeln!(f, "               ↳  {problem}")?;
            }
        }
        Ok(())
    }
}

impl Verdict {
    /// What stands beside a condition.
    pub(super) fn found(&self, aggregate: Aggregate, value: Option<f64>) -> String {
        match (value, metrics::find(&self.selector.metric)) {
            (Some(value), Ok(metric)) if aggregate != Aggregate::Rate || is_rate(&self.values) => {
                format!("{aggregate}={}", units::of(metric, value))
            }
            (Some(value), _) => format!("{aggregate}={}/s", units::short(value)),
            (None, _) => "no samples".to_owned(),
        }
    }
}

fn is_rate(values: &Values) -> bool {
    matches!(values, Values::Rate { .. })
}

pub(super) fn mark(held: bool) -> char {
    if held { '✓' } else { '✗' }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, row: &str) -> fmt::Result {
    writeln!(f, "    {name:.<NAMES$}: {row}")
}

/// What stands behind the name of a metric.
pub(super) fn row(name: &str, values: &Values) -> String {
    let Ok(metric) = metrics::find(name) else {
        return String::new();
    };
    match values {
        Values::Trend(times) if times.is_empty() => "no samples".to_owned(),
        Values::Trend(_) => {
            let columns = COLUMNS.iter().filter_map(|column| {
                let value = values.aggregate(*column)?;
                Some(format!(
                    "{:<15}",
                    format!("{column}={}", units::of(metric, value))
                ))
            });
            columns.collect::<Vec<_>>().join(" ").trim_end().to_owned()
        }
        Values::Counter { count, per_second } => format!("{count:<8} {per_second:.2}/s"),
        Values::Rate { hits, total } => {
            format!("{:<8} {hits} out of {total}", units::percent(*hits, *total))
        }
        Values::Gauge(_) => {
            let value = |aggregate| {
                let value = values.aggregate(aggregate);
                value.map_or_else(String::new, |value| units::of(metric, value))
            };
            format!(
                "{:<8} min={:<10} max={}",
                value(Aggregate::Value),
                value(Aggregate::Least),
                value(Aggregate::Greatest)
            )
        }
    }
}
