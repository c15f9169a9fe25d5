//! What the API benchmark found, as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

use crate::measure::Distribution;

/// Requests with so many in flight.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    /// Requests answered per second.
    pub per_second: f64,
    /// From the sending of a request to its whole answer.
    pub latency: Distribution,
}

/// What many watches saw.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Watched {
    /// Watches that were open at once.
    pub watchers: u16,
    /// Changes that each should show.
    pub events: u32,
    /// How long it took to open all of them, in milliseconds.
    pub opened_in_ms: f64,
    /// From the sending of a change to its event, over all watches.
    pub delivery: Distribution,
    /// Events that did not come within 30 s; more than 0 is a fault.
    pub missed: usize,
}

/// The figures of one server, with the conditions under which they were measured.
#[derive(Clone, Debug, Serialize)]
pub struct ApiFigures {
    /// Always `api`.
    pub benchmark: &'static str,
    /// The server's name.
    pub server: String,
    /// What it stands on.
    pub conditions: String,
    /// Processors of this machine, shared by the server, what it stands on, and the benchmark.
    pub processors: usize,
    /// Objects.
    pub objects: u32,
    /// Requests in flight in create, get, patch and delete.
    pub concurrency: u16,
    /// Creates.
    pub create: Step,
    /// Reads of single objects.
    pub get: Step,
    /// Lists of all objects in one answer.
    pub list: Distribution,
    /// The length of that answer, in bytes.
    pub list_bytes: usize,
    /// Lists of all objects in pages; the time of all pages together.
    pub paged: Distribution,
    /// Merge patches of the status.
    pub patch: Step,
    /// Watches.
    pub watch: Watched,
    /// Deletes.
    pub delete: Step,
}

/// The figures of all servers.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// One after the other, as they were measured.
    pub servers: Vec<ApiFigures>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.latency.p50_ms, self.latency.p99_ms);
        write!(
            f,
            "{:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms",
            self.per_second
        )
    }
}

impl fmt::Display for Comparison {
    /// Writes a Markdown table with a column for each server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.servers {
            writeln!(
                f,
                "{}: {}; {} objects, {} requests in flight, {} processors shared with the benchmark",
                server.server,
                server.conditions,
                server.objects,
                server.concurrency,
                server.processors
            )?;
        }
        let row = |f: &mut fmt::Formatter<'_>, name: &str, cell: &dyn Fn(&ApiFigures) -> String| {
            let cells: Vec<String> = self.servers.iter().map(cell).collect();
            writeln!(f, "| {name} | {} |", cells.join(" | "))
        };
        writeln!(f)?;
        row(f, "step", &|server| server.server.clone())?;
        row(f, "---", &|_| "---".to_owned())?;
        row(f, "create", &|server| server.create.to_string())?;
        row(f, "get", &|server| server.get.to_string())?;
        let times =
            |times: Distribution| format!("p50 {:.0} ms, max {:.0} ms", times.p50_ms, times.max_ms);
        row(f, "list", &|server| {
            let mebibytes = server.list_bytes as f64 / f64::from(1 << 20);
            format!("{}, {mebibytes:.1} MiB", times(server.list))
        })?;
        row(f, "paged list", &|server| times(server.paged))?;
        row(f, "status patch", &|server| server.patch.to_string())?;
        row(f, "watch", &|server| {
            let watch = &server.watch;
            let delivery = watch.delivery;
            format!(
                "{} watches: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, {} of {} events missed",
                watch.watchers,
                delivery.p50_ms,
                delivery.p99_ms,
                delivery.max_ms,
                watch.missed,
                delivery.count + watch.missed
            )
        })?;
        row(f, "open those watches", &|server| {
            format!("{:.0} ms", server.watch.opened_in_ms)
        })?;
        row(f, "delete", &|server| server.delete.to_string())
    }
}
