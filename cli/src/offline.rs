//! Commands that are not part of a running system: the fake provider, migrations, CRDs.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use ark_loadtest::provider;
use clap::Args;

use crate::database::DatabaseUrl;
use crate::process;

/// Serves a fake model provider on 127.0.0.1 until it is stopped.
#[derive(Debug, Args)]
pub(crate) struct MockProvider {
    /// The port; 0 takes any free one
    #[arg(long, env = "ARK_MOCK_PORT", default_value_t = 0)]
    port: u16,
    /// What answers are made from, besides the request
    #[arg(long, env = "ARK_MOCK_SEED", default_value_t = 0)]
    seed: u64,
    /// How long each answer takes, e.g. 1s or 250ms
    #[arg(long, env = "ARK_MOCK_LATENCY", default_value = "0s", value_parser = duration)]
    latency: Duration,
    /// A file that gets one JSON line per request
    #[arg(long, env = "ARK_MOCK_LOG", value_name = "FILE")]
    log: Option<PathBuf>,
}

impl MockProvider {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let shutdown = process::shutdown_on_signal()?;
        let config = provider::Config {
            port: self.port,
            seed: self.seed,
            latency: self.latency,
            log: self.log,
        };
        let running = provider::start(config).await?;
        println!("ready {}", running.url());
        shutdown.cancelled().await;
        running.stop().await;
        Ok(())
    }
}

/// Brings a database to the schema of this program. Safe to run again, and while older programs work on the database.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    database: DatabaseUrl,
}

impl Migrate {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let store = self.database.connect("ark-migrate", 2).await?;
        store.migrate().await?;
        store.check().await?;
        println!(
            "the database has all {} migrations of this program",
            ark_store::PROGRAM
        );
        Ok(())
    }
}

/// Prints the CustomResourceDefinitions as one YAML stream, for `kubectl apply -f -`.
pub(crate) fn print_crds() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for crd in ark_api::crds() {
        // JSON is YAML, and kubectl reads it as such.
        writeln!(out, "---\n{}", serde_json::to_string_pretty(&crd)?)?;
    }
    Ok(())
}

/// A duration as Go and Kubernetes write it: `90s`, `1m30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    ark_api::duration::parse(text).map_err(|error| error.to_string())
}
