//! A drain through the API: Queries are created as users create them, processes of all roles work on them, and a watch
//! sees them end. The provider answers at once, so what is measured is the system itself.

mod queries;
mod result;

use std::time::Instant;

use anyhow::Context;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::database::{self, Database};
pub use crate::processes::program;
use crate::processes::{Process, Workplace};
use queries::{Ends, Queries};
pub use result::DrainFigures;

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Queries
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub queries: u32,
    /// Worker processes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Executions at once in each worker
    #[arg(long, default_value_t = 100)]
    pub slots: u32,
    /// Creates in flight
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Model replies of each Query
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub turns: u8,
    /// Create all Queries before the workers start
    #[arg(long)]
    pub preload: bool,
    /// The database
    #[command(flatten)]
    pub database: database::Choice,
}

/// Runs the drain with the `ark` executable of [`program`].
///
/// # Errors
/// When there is no executable, a process does not get ready or ends, or the API refuses something.
pub async fn run(options: &Options) -> anyhow::Result<DrainFigures> {
    let place = Workplace::new()?;
    let database = Database::open(&options.database).await?;
    let measured = drain(options, &place, &database).await;
    let conditions = database.conditions().await;
    database.close().await?;
    match measured {
        Ok(measured) => Ok(DrainFigures::new(options, conditions, measured)),
        Err(error) => Err(error.context(format!("the logs are in {}", place.keep().display()))),
    }
}

/// When things happened.
struct Measured {
    created_in: std::time::Duration,
    drained_in: std::time::Duration,
    created: queries::Created,
    ends: Ends,
}

async fn drain(
    options: &Options,
    place: &Workplace,
    database: &Database,
) -> anyhow::Result<Measured> {
    place.migrate(&database.url).await?;
    let mock = place.mock_provider().await?;
    let apiserver = place.apiserver(&database.url).await?;
    let mut system = vec![mock.process, apiserver.process];
    system.push(
        place
            .dispatcher(&database.url, &apiserver.kubeconfig)
            .await?,
    );
    let client = client(&apiserver.kubeconfig).await?;
    let queries = Queries::new(client, options);
    queries.prepare().await?;
    let watch = queries.watch().await?;

    let workers = start_workers(
        options,
        place,
        &database.url,
        &apiserver.kubeconfig,
        &mock.url,
    );
    let (created, drain_began, workers) = if options.preload {
        let created = queries.create().await?;
        (created, Instant::now(), workers.await?)
    } else {
        let workers = workers.await?;
        let created = queries.create().await?;
        let began = created.began;
        (created, began, workers)
    };
    let ends = watch.all_ended().await?;
    system.extend(workers);
    for process in system.into_iter().rev() {
        process.stop().await?;
    }
    Ok(Measured {
        created_in: created.last - created.began,
        drained_in: ends.last - drain_began,
        created,
        ends,
    })
}

async fn start_workers(
    options: &Options,
    place: &Workplace,
    database_url: &str,
    kubeconfig: &str,
    mock_url: &str,
) -> anyhow::Result<Vec<Process>> {
    let mut workers = Vec::new();
    for number in 0..options.workers {
        let worker = place.worker(number, options.slots, database_url, kubeconfig, mock_url);
        workers.push(worker.await?);
    }
    Ok(workers)
}

pub(crate) async fn client(kubeconfig: &str) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("cannot read the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
