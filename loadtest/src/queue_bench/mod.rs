//! The queue alone: no-op executions with 1 KiB of input and 1 KiB of result go from enqueue over claim and finish to
//! a settled report, through the statements of [`ark_store::Store`] that the roles use, with durable commits.
//!
//! The phases are measured one after the other on one database: two fills, a drain of what they made, the reports of
//! that, filling and draining at once, and at last how soon an idle claimer has a new execution.

mod enqueue;
mod latency;
mod noop;
mod reports;
mod result;
mod worker;

use std::time::Instant;

use anyhow::{Context, ensure};
use ark_store::{ConnectOptions, Store};

use crate::database::{self, Database};
use crate::measure::rate;
pub use result::{Phase, QueueFigures};

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Executions of the fills, of the drain and of the mixed phase, each
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub jobs: u64,
    /// Incarnations that claim and finish at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub claimers: u16,
    /// The most executions of one claim: the free slots of a worker
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub batch: i64,
    /// The most outcomes of one finish
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub finish_batch: u16,
    /// Namespaces over which the executions are spread, one lane each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub namespaces: u32,
    /// Wake-ups measured in the idle phase
    #[arg(long, default_value_t = 200)]
    pub samples: usize,
    /// The database
    #[command(flatten)]
    pub database: database::Choice,
}

/// Runs all phases.
///
/// # Errors
/// When there is no server, the database is in use, a statement fails, or an execution does not end as it must.
pub async fn run(options: &Options) -> anyhow::Result<QueueFigures> {
    let database = Database::open(&options.database).await?;
    let connect = ConnectOptions {
        max_connections: u32::from(options.claimers) * 2 + 8,
        application_name: "ark-queue-bench",
        ..ConnectOptions::default()
    };
    let store = Store::connect(&database.url, connect)
        .await
        .context("cannot connect to the database")?;
    store
        .migrate()
        .await
        .context("cannot migrate the database")?;
    let depth = store.totals().await?;
    ensure!(
        depth.ready + depth.scheduled + depth.running + depth.unreported + depth.workers == 0,
        "the database holds work or has workers; name an empty one"
    );
    let bench = Bench {
        options,
        database: &database,
        store: &store,
    };
    let phases = bench.phases().await?;
    let idle = latency::measure(&store, options.samples).await?;
    let figures = QueueFigures::new(options, database.conditions().await, phases, idle);
    store.close().await;
    database.close().await?;
    Ok(figures)
}

struct Bench<'a> {
    options: &'a Options,
    database: &'a Database,
    store: &'a Store,
}

impl Bench<'_> {
    async fn phases(&self) -> anyhow::Result<Vec<Phase>> {
        let half = self.options.jobs / 2;
        let rest = self.options.jobs - half;
        Ok(vec![
            self.measure("enqueue, 1 writer", half, self.fill(half, 1))
                .await?,
            self.measure("enqueue, 4 writers", rest, self.fill(rest, 4))
                .await?,
            self.measure("claim + finish", self.options.jobs, self.drain())
                .await?,
            self.measure(
                "report",
                self.options.jobs,
                reports::settle(self.store, self.options.jobs),
            )
            .await?,
            self.measure("all at once", self.options.jobs, self.mixed())
                .await?,
        ])
    }

    /// Clocks a phase, and counts the WAL that it wrote.
    async fn measure(
        &self,
        name: &'static str,
        jobs: u64,
        work: impl Future<Output = anyhow::Result<Vec<result::Statement>>>,
    ) -> anyhow::Result<Phase> {
        let wal_before = self.database.wal_position().await;
        let began = Instant::now();
        let statements = work.await.context(name)?;
        let elapsed = began.elapsed();
        let wal = match (wal_before, self.database.wal_position().await) {
            (Some(before), Some(after)) => Some((after - before) / jobs as f64),
            _ => None,
        };
        eprintln!("{name}: {:.0}/s", rate(jobs, elapsed));
        Ok(Phase::new(name, jobs, elapsed, wal, statements))
    }

    async fn fill(&self, jobs: u64, writers: u64) -> anyhow::Result<Vec<result::Statement>> {
        enqueue::fill(self.store, jobs, writers, self.options.namespaces).await
    }

    async fn drain(&self) -> anyhow::Result<Vec<result::Statement>> {
        worker::drain(self.store, self.options).await
    }

    async fn mixed(&self) -> anyhow::Result<Vec<result::Statement>> {
        let (mut filled, drained, settled) = tokio::try_join!(
            self.fill(self.options.jobs, 2),
            self.drain(),
            reports::settle(self.store, self.options.jobs),
        )?;
        filled.extend(drained);
        filled.extend(settled);
        Ok(filled)
    }
}
