//! `ark up`: the whole system in one process, until it is stopped.

use std::path::PathBuf;
use std::time::Duration;

use ark_apiserver::PortChoice;
use clap::Args;
use prometheus_client::registry::Registry;

use crate::database::LocalPostgres;
use crate::process::{self, MetricsAddr};
use crate::system::{Options, Provider, System};

/// Runs database, API server, dispatcher and workers in one process, until it is stopped.
///
/// Everything is kept in the data folder; a second start goes on where the first one ended.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where everything is kept [default: ~/.local/share/ark, as root /var/lib/ark]
    #[arg(long, env = "ARK_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of the API [default: 6443, or the next free one]
    #[arg(long, env = "ARK_PORT")]
    port: Option<u16>,
    /// Workers, of 100 slots each; with 0, queries wait
    #[arg(long, env = "ARK_WORKERS", default_value_t = 1, value_name = "N")]
    workers: usize,
    /// Which providers are called
    #[arg(long, env = "ARK_PROVIDER", default_value = "auto")]
    provider: Provider,
    #[command(flatten)]
    postgres: LocalPostgres,
    #[command(flatten)]
    metrics: MetricsAddr,
}

impl Up {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let shutdown = process::shutdown_on_signal()?;
        let mut registry = Registry::default();
        let options = Options {
            data_dir: self.data_dir.unwrap_or_else(ark_postgres::default_data_dir),
            port: self
                .port
                .map_or(PortChoice::NextFree(6443), PortChoice::Exact),
            workers: self.workers,
            provider: self.provider,
            overrides: ark_worker::Overrides::default(),
            postgres: self.postgres,
            drain: Duration::from_secs(30),
        };
        let mut system = tokio::select! {
            system = System::start(options, &mut registry) => system?,
            () = shutdown.cancelled() => return Ok(()),
        };
        self.metrics.serve(registry, system.store.clone()).await?;
        println!("ready");
        println!(
            "  kubectl --kubeconfig {} get queries",
            system.kubeconfig.display()
        );
        println!("  psql '{}'", system.database_url);
        let failure = tokio::select! {
            () = shutdown.cancelled() => None,
            error = System::failed(&mut system.roles) => Some(error),
        };
        let stopped = system.stop().await;
        match failure {
            Some(error) => Err(error),
            None => stopped,
        }
    }
}
