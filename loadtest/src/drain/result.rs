//! What the drain found, as lines for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Measured, Options};
use crate::measure::{Distribution, rate};

/// The figures of a drain, with the conditions under which they were measured.
#[derive(Debug, Serialize)]
pub struct DrainFigures {
    /// Always `drain`.
    pub benchmark: &'static str,
    /// The server and its settings.
    pub conditions: String,
    /// Processors of this machine, shared by all processes and the benchmark.
    pub processors: usize,
    /// Queries.
    pub queries: u32,
    /// Model replies of each Query.
    pub turns: u8,
    /// Worker processes.
    pub workers: u16,
    /// Executions at once in each worker.
    pub slots: u32,
    /// Creates in flight.
    pub concurrency: u16,
    /// Whether all Queries were there before the workers started.
    pub preload: bool,
    /// Creates answered per second.
    pub created_per_second: f64,
    /// From the sending of a create to its answer.
    pub create: Distribution,
    /// Queries ended per second, from the first create (preloaded: from the start of the workers) to the last end seen.
    pub drained_per_second: f64,
    /// How long the drain took.
    pub drained_in_seconds: f64,
    /// From the answer of a create to the terminal change on the watch.
    pub latency: Distribution,
    /// Queries that did not end as done.
    pub failed: u32,
    /// Terminal changes beyond the first of a Query; more than 0 is a fault.
    pub repeated: u32,
}

impl DrainFigures {
    pub(super) fn new(options: &Options, conditions: String, measured: Measured) -> Self {
        let latency = measured.ends.seen.iter().filter_map(|(name, ended)| {
            let answered = measured.created.answered.get(name)?;
            // The watch may be faster than the create's answer.
            Some(
                ended
                    .checked_duration_since(*answered)
                    .unwrap_or(Duration::ZERO),
            )
        });
        let queries = u64::from(options.queries);
        Self {
            benchmark: "drain",
            conditions,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            queries: options.queries,
            turns: options.turns,
            workers: options.workers,
            slots: options.slots,
            concurrency: options.concurrency,
            preload: options.preload,
            created_per_second: rate(queries, measured.created_in),
            create: Distribution::of(measured.created.took),
            drained_per_second: rate(queries, measured.drained_in),
            drained_in_seconds: measured.drained_in.as_secs_f64(),
            latency: Distribution::of(latency.collect()),
            failed: measured.ends.failed,
            repeated: measured.ends.repeated,
        }
    }
}

impl fmt::Display for DrainFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} processors", self.conditions, self.processors)?;
        writeln!(
            f,
            "{} Queries of {} turns, {} workers of {} slots, {} creates in flight{}",
            self.queries,
            self.turns,
            self.workers,
            self.slots,
            self.concurrency,
            if self.preload {
                ", created before the workers started"
            } else {
                ""
            }
        )?;
        writeln!(
            f,
            "created {:.0}/s: {}",
            self.created_per_second, self.create
        )?;
        writeln!(
            f,
            "drained {:.0}/s in {:.2} s, {} failed, {} repeated terminal changes",
            self.drained_per_second, self.drained_in_seconds, self.failed, self.repeated
        )?;
        write!(f, "create to end: {}", self.latency)
    }
}
