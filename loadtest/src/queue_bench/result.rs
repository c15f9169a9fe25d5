//! What the benchmark found, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use crate::measure::{Distribution, rate};

/// The calls of one store function while a phase ran.
pub(super) struct Statement {
    name: &'static str,
    times: Vec<Duration>,
    rows: u64,
}

impl Statement {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            times: Vec::new(),
            rows: 0,
        }
    }

    pub(super) fn add(&mut self, time: Duration, rows: usize) {
        self.times.push(time);
        self.rows += rows as u64;
    }

    pub(super) fn absorb(&mut self, other: Statement) {
        self.times.extend(other.times);
        self.rows += other.rows;
    }
}

/// The calls of one store function, summed up.
#[derive(Debug, Serialize)]
pub struct Calls {
    /// The function.
    pub name: &'static str,
    /// Rows per call, on average.
    pub rows_per_call: f64,
    /// How long the calls took, each with all its round trips.
    #[serde(flatten)]
    pub took: Distribution,
}

/// One phase.
#[derive(Debug, Serialize)]
pub struct Phase {
    /// What was done.
    pub name: &'static str,
    /// Executions that went through.
    pub jobs: u64,
    /// How long it took.
    pub seconds: f64,
    /// Executions per second.
    pub jobs_per_second: f64,
    /// WAL of the whole server per execution; absent without `psql`.
    pub wal_bytes_per_job: Option<f64>,
    /// The calls that it took.
    pub calls: Vec<Calls>,
}

impl Phase {
    pub(super) fn new(
        name: &'static str,
        jobs: u64,
        elapsed: Duration,
        wal_bytes_per_job: Option<f64>,
        statements: Vec<Statement>,
    ) -> Self {
        let calls = statements.into_iter().map(|statement| Calls {
            name: statement.name,
            rows_per_call: statement.rows as f64 / statement.times.len().max(1) as f64,
            took: Distribution::of(statement.times),
        });
        Self {
            name,
            jobs,
            seconds: elapsed.as_secs_f64(),
            jobs_per_second: rate(jobs, elapsed),
            wal_bytes_per_job,
            calls: calls.collect(),
        }
    }
}

/// All phases, with the conditions under which they were measured.
#[derive(Debug, Serialize)]
pub struct QueueFigures {
    /// Always `queue`.
    pub benchmark: &'static str,
    /// The server and its settings.
    pub conditions: String,
    /// Processors of this machine, shared by the server and the benchmark.
    pub processors: usize,
    /// Incarnations that claimed.
    pub claimers: u16,
    /// The most executions of one claim.
    pub batch: i64,
    /// The most outcomes of one finish.
    pub finish_batch: u16,
    /// Lanes.
    pub namespaces: u32,
    /// The phases in their order.
    pub phases: Vec<Phase>,
    /// From the call of enqueue to the answer of the claim, of an idle queue.
    pub idle_latency: Distribution,
}

impl QueueFigures {
    pub(super) fn new(
        options: &Options,
        conditions: String,
        phases: Vec<Phase>,
        idle_latency: Distribution,
    ) -> Self {
        Self {
            benchmark: "queue",
            conditions,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            claimers: options.claimers,
            batch: options.batch,
            finish_batch: options.finish_batch,
            namespaces: options.namespaces,
            phases,
            idle_latency,
        }
    }
}

impl fmt::Display for QueueFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} processors", self.conditions, self.processors)?;
        writeln!(
            f,
            "{} claimers of {}, finished by {}, {} namespaces",
            self.claimers, self.batch, self.finish_batch, self.namespaces
        )?;
        writeln!(
            f,
            "\n{:<20} {:>9} {:>9} {:>9} {:>10}",
            "phase", "jobs", "seconds", "jobs/s", "WAL B/job"
        )?;
        for phase in &self.phases {
            let wal = phase
                .wal_bytes_per_job
                .map_or("-".to_owned(), |bytes| format!("{bytes:.0}"));
            writeln!(
                f,
                "{:<20} {:>9} {:>9.2} {:>9.0} {:>10}",
                phase.name, phase.jobs, phase.seconds, phase.jobs_per_second, wal
            )?;
            for calls in &phase.calls {
                writeln!(
                    f,
                    "    {:<16} {:>6.1} rows a call, {}",
                    calls.name, calls.rows_per_call, calls.took
                )?;
            }
        }
        write!(f, "\nidle, enqueue to claimed: {}", self.idle_latency)
    }
}
