//! Which plots a report shows.

use super::super::values::{Values, percentile, reading};
use super::plot::{Axis, Line, Plot};
use super::series::{self, Slice};
use super::{Report, units};

/// Points of the plot of percentiles.
const POINTS: usize = 200;

/// All plots that have something to show.
pub(super) fn of(report: &Report) -> Vec<Plot> {
    let slices = series::slices(&report.run);
    let mut plots = vec![
        report.latency(&slices),
        report.percentiles(),
        report.rates(&slices),
    ];
    plots.extend(report.failures(&slices));
    plots.push(report.under_way());
    plots.extend(report.queue());
    plots.extend(report.queue_wait());
    plots
}

fn over_time(slices: &[Slice], value: impl Fn(&Slice) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
    slices
        .iter()
        .map(|slice| (slice.at, value(slice)))
        .collect()
}

impl Report {
    fn plot(&self, title: &str, about: &str, lines: Vec<Line>, unit: fn(f64) -> String) -> Plot {
        let events = self.run.happened.iter();
        Plot {
            title: title.to_owned(),
            about: about.to_owned(),
            x: Axis::of_seconds(self.run.took.as_secs_f64()),
            lines,
            marks: events
                .map(|event| (event.at.as_secs_f64(), event.what.clone()))
                .collect(),
            unit,
        }
    }

    fn latency(&self, slices: &[Slice]) -> Plot {
        let line = |name, percent| Line {
            name,
            points: over_time(slices, |slice| slice.latency(percent)),
        };
        let lines = vec![
            line("median", 50.0),
            line("p(95)", 95.0),
            line("max", 100.0),
        ];
        let about = "of the Queries that should have started at each time, from there to the end seen on the watch";
        self.plot("Latency", about, lines, units::millis)
    }

    fn percentiles(&self) -> Plot {
        let times = match self.values("query_duration") {
            Values::Trend(times) => times,
            _ => Vec::new(),
        };
        let end = (times.len().max(10) as f64).log10();
        let point = |number: usize| {
            let place = number as f64 / POINTS as f64 * end;
            let percent = (1.0 - 10_f64.powf(-place)) * 100.0;
            (place, percentile(&times, percent))
        };
        let ticks = [
            ("0%", 0.0),
            ("50%", 0.5),
            ("90%", 0.9),
            ("99%", 0.99),
            ("99.9%", 0.999),
            ("99.99%", 0.9999),
        ];
        let ticks = ticks
            .iter()
            .map(|(text, share)| (-(1.0_f64 - share).log10(), (*text).to_owned()));
        Plot {
            title: "Latency by percentile".to_owned(),
            about: "so many of all Queries took at most so long".to_owned(),
            x: Axis {
                ticks: ticks.filter(|tick| tick.0 <= end).collect(),
                end,
                label: "percentile",
            },
            lines: vec![Line {
                name: "query_duration",
                points: (0..=POINTS).map(point).collect(),
            }],
            marks: Vec::new(),
            unit: units::millis,
        }
    }

    fn rates(&self, slices: &[Slice]) -> Plot {
        let line = |name, value: fn(&Slice) -> f64| Line {
            name,
            points: over_time(slices, |slice| Some(value(slice))),
        };
        let lines = vec![
            line("wanted by the schedule", |slice| slice.intended),
            line("started", |slice| slice.started),
            line("done", |slice| slice.done),
        ];
        self.plot(
            "Queries per second",
            "what was wanted, and what came of it",
            lines,
            units::short,
        )
    }

    fn failures(&self, slices: &[Slice]) -> Option<Plot> {
        let lines = series::FAILED
            .iter()
            .enumerate()
            .filter_map(|(place, phase)| {
                let points = over_time(slices, |slice| Some(slice.failed[place]));
                let some = points.iter().any(|point| point.1 > Some(0.0));
                some.then(|| Line {
                    name: phase.name(),
                    points,
                })
            });
        let lines: Vec<Line> = lines.collect();
        let about = "by how they ended";
        (!lines.is_empty()).then(|| self.plot("Not done per second", about, lines, units::short))
    }

    fn gauge(&self, name: &'static str, label: &'static str) -> Line {
        let read = reading(name);
        let samples = self.run.samples.iter();
        Line {
            name: label,
            points: samples
                .map(|sample| (sample.at.as_secs_f64(), read(sample)))
                .collect(),
        }
    }

    fn under_way(&self) -> Plot {
        let lines = vec![self.gauge("vus", "iterations under way")];
        self.plot("VUs", "iterations under way", lines, units::short)
    }

    fn has_queue(&self) -> bool {
        self.run.samples.iter().any(|sample| sample.queue.is_some())
    }

    fn queue(&self) -> Option<Plot> {
        let lines = vec![
            self.gauge("queue_ready", "ready"),
            self.gauge("queue_running", "running"),
            self.gauge("queue_scheduled", "in back-off"),
            self.gauge("queue_slots", "slots of living workers"),
        ];
        let about = "the queue's own view";
        self.has_queue()
            .then(|| self.plot("Executions", about, lines, units::short))
    }

    fn queue_wait(&self) -> Option<Plot> {
        let lines = vec![self.gauge("queue_oldest_wait", "the oldest ready execution")];
        let about = "for how long the oldest execution has been ready";
        self.has_queue()
            .then(|| self.plot("Wait in the queue", about, lines, units::millis))
    }
}
