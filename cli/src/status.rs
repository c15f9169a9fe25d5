//! `ark status` and `ark top`: who works, what waits, and why.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use ark_store::{Depth, Store, Totals, WaitingExecution, WorkerState};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::database::DatabaseUrl;
use crate::offline::duration;
use crate::process;

/// Shows workers, the queue, and what waits longest and why.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    database: DatabaseUrl,
    /// How many waiting queries are shown
    #[arg(long, default_value_t = 10, value_name = "N")]
    waiting: i64,
    /// The form of the output
    #[arg(long, default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Shows the same, again and again, until it is stopped.
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    database: DatabaseUrl,
    /// How often the view is made anew
    #[arg(long, default_value = "1s", value_parser = duration)]
    every: Duration,
}

impl Status {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let store = self.database.look("ark").await?;
        let view = View::read(&store, self.waiting).await?;
        match self.output {
            Form::Text => print!("{}", view.text()),
            Form::Json => println!("{}", view.json()),
        }
        Ok(())
    }
}

impl Top {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let shutdown = process::shutdown_on_signal()?;
        let store = self.database.look("ark").await?;
        loop {
            let text = match View::read(&store, 15).await {
                Ok(view) => view.text(),
                Err(error) => format!("{error:#}; trying again\n"),
            };
            // Home, the text with each line cleared to its end, and everything below cleared.
            let screen = text.replace('\n', "\x1b[K\n");
            print!("\x1b[H{screen}\x1b[J");
            std::io::stdout().flush()?;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }
}

/// What both commands show.
struct View {
    totals: Totals,
    workers: Vec<WorkerState>,
    lanes: Vec<Depth>,
    waiting: Vec<WaitingExecution>,
}

impl View {
    async fn read(store: &Store, waiting: i64) -> anyhow::Result<View> {
        let (totals, workers, lanes, waiting) = tokio::try_join!(
            store.totals(),
            store.workers(),
            store.depth(),
            store.waiting(waiting)
        )?;
        Ok(View {
            totals,
            workers,
            lanes,
            waiting,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let t = &self.totals;
        line(
            &mut text,
            format_args!(
                "QUEUE    {} ready, {} in back-off, {} running, {} to report",
                t.ready, t.scheduled, t.running, t.unreported
            ),
        );
        line(
            &mut text,
            format_args!("WORKERS  {} alive with {} slots", t.workers, t.slots),
        );
        if t.slots == 0 {
            line(
                &mut text,
                format_args!("  no worker with slots is alive: queries wait"),
            );
        }
        for worker in &self.workers {
            line(
                &mut text,
                format_args!(
                    "  {:<40} {:>4}/{:<4} slots busy, {}, up {}",
                    worker.name,
                    worker.running,
                    worker.slots,
                    health(worker),
                    seconds(worker.age_seconds)
                ),
            );
        }
        if !self.lanes.is_empty() {
            line(&mut text, format_args!("LANES"));
        }
        for lane in self.lanes.iter().take(10) {
            line(
                &mut text,
                format_args!(
                    "  {:<24} scope {:016x}  {:>6} ready, the oldest for {}",
                    lane.namespace,
                    lane.scope,
                    lane.ready,
                    seconds(lane.oldest_seconds)
                ),
            );
        }
        if !self.waiting.is_empty() {
            line(&mut text, format_args!("WAITING LONGEST"));
        }
        for query in &self.waiting {
            line(
                &mut text,
                format_args!(
                    "  {:<40} {:>8}  {}",
                    format!("{}/{}", query.namespace, query.name),
                    seconds(query.waited_seconds),
                    reason(query, t)
                ),
            );
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let t = &self.totals;
        json!({
            "queue": {"ready": t.ready, "scheduled": t.scheduled, "running": t.running, "unreported": t.unreported},
            "workers": self.workers.iter().map(|worker| json!({
                "name": worker.name, "slots": worker.slots, "running": worker.running, "dead": worker.dead,
                "ticksBehind": worker.ticks_behind, "ageSeconds": worker.age_seconds,
            })).collect::<Vec<_>>(),
            "lanes": self.lanes.iter().map(|lane| json!({
                "namespace": lane.namespace, "scope": format!("{:016x}", lane.scope), "ready": lane.ready,
                "oldestSeconds": lane.oldest_seconds,
            })).collect::<Vec<_>>(),
            "waiting": self.waiting.iter().map(|query| json!({
                "namespace": query.namespace, "name": query.name, "waitedSeconds": query.waited_seconds,
                "position": query.position, "attempt": query.attempt, "reason": reason(query, t),
            })).collect::<Vec<_>>(),
        })
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .and_then(|()| text.write_char('\n'))
        .expect("a string takes everything");
}

fn health(worker: &WorkerState) -> String {
    match worker.ticks_behind {
        _ if worker.dead => "dead".to_owned(),
        0..=2 => "beating".to_owned(),
        behind => format!("{behind} ticks behind"),
    }
}

/// Why a query has not been claimed.
fn reason(query: &WaitingExecution, totals: &Totals) -> String {
    match query.due_in_seconds {
        Some(due) if due > 0.0 => format!(
            "attempt {} failed, tried again in {}",
            query.attempt,
            seconds(due)
        ),
        _ if query.nobody => "no worker with slots is alive".to_owned(),
        _ if totals.running >= totals.slots => {
            format!(
                "all {} slots are busy; number {} in its lane",
                totals.slots, query.position
            )
        }
        _ => format!("number {} in its lane, about to be claimed", query.position),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}
