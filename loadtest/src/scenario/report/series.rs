//! How a run went over time: its records in slices of equal width.

use std::time::Duration;

use super::super::record::{Phase, Recording};
use super::super::values::percentile;

/// The widths that slices may have, in seconds.
const WIDTHS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];
/// More slices than this say nothing to an eye.
const MOST: f64 = 60.0;
/// The phases that are told apart over time.
pub(super) const FAILED: [Phase; 5] = [
    Phase::Error,
    Phase::Canceled,
    Phase::Refused,
    Phase::Timeout,
    Phase::Interrupted,
];

/// A slice of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct Slice {
    /// When it begins, in seconds since the begin of the run.
    pub(super) at: f64,
    /// Starts that the schedule wanted, per second.
    pub(super) intended: f64,
    /// Starts per second.
    pub(super) started: f64,
    /// Queries that were done, per second.
    pub(super) done: f64,
    /// Iterations that ended in each phase of [`FAILED`], per second.
    pub(super) failed: [f64; FAILED.len()],
    /// Latencies in milliseconds of the Queries that should have started here, the smallest first.
    pub(super) latencies: Vec<f64>,
}

impl Slice {
    pub(super) fn latency(&self, percent: f64) -> Option<f64> {
        percentile(&self.latencies, percent)
    }
}

/// Cuts a run into slices.
pub(super) fn slices(run: &Recording) -> Vec<Slice> {
    let seconds = run.took.as_secs_f64();
    let fits = |width: &&f64| seconds / **width <= MOST;
    let width = *WIDTHS
        .iter()
        .find(fits)
        .unwrap_or(&WIDTHS[WIDTHS.len() - 1]);
    // What is left over at the end belongs to the last slice, which is longer by it.
    let count = (seconds / width).floor().max(1.0) as usize;
    let mut slices: Vec<Slice> = (0..count)
        .map(|place| Slice {
            at: place as f64 * width,
            ..Slice::default()
        })
        .collect();
    let place = |at: Duration| ((at.as_secs_f64() / width) as usize).min(count - 1);
    let share = |place: usize| match place == count - 1 {
        true => 1.0 / (seconds - place as f64 * width).max(1e-3),
        false => 1.0 / width,
    };
    for dropped in &run.dropped {
        let at = place(dropped.intended);
        slices[at].intended += share(at);
    }
    for record in &run.records {
        let intended = place(record.intended);
        slices[intended].intended += share(intended);
        if record.created.is_some() {
            let latency = record.ended.saturating_sub(record.intended).as_secs_f64() * 1e3;
            slices[intended].latencies.push(latency);
        }
        let started = place(record.started);
        slices[started].started += share(started);
        let ended = place(record.ended);
        match FAILED.iter().position(|phase| *phase == record.phase) {
            Some(phase) => slices[ended].failed[phase] += share(ended),
            None => slices[ended].done += share(ended),
        }
    }
    for slice in &mut slices {
        slice.latencies.sort_unstable_by(f64::total_cmp);
    }
    slices
}
