//! `ark loadtest`: a scenario file against any cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use ark_loadtest::scenario::{self, Report, Scenario};
use ark_store::{ConnectOptions, Store};
use clap::Args;

use crate::process;
use crate::roles::Cluster;

/// What k6 exits with when a threshold is broken, and when a run is interrupted.
const THRESHOLDS_BROKEN: u8 = 99;
const INTERRUPTED: u8 = 105;

/// Creates Queries at the pace of a scenario file, waits for their answers, and sums up.
///
/// Scenario files speak k6's language: executors, stages, thresholds, checks, tags. Latency counts from the start that the
/// schedule intended, so a slow system cannot hide behind a generator that waits for it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Loadtest {
    /// The scenario file; or one that ships: burst, ramp, soak, worker-loss, brown-out
    #[arg(value_name = "SCENARIO.yaml")]
    scenario: PathBuf,
    /// Set a variable that the file uses as ${NAME} or ${NAME:-default}; can be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    #[command(flatten)]
    cluster: Cluster,
    /// Address of the queue's database, for the queue's own view beside the API's
    #[arg(
        long,
        env = "ARK_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// Base URL of a running fake provider (`ark mock-provider`) that the cluster can reach [default: one in this process]
    #[arg(long, env = "ARK_MOCK_URL", value_name = "URL")]
    provider_url: Option<String>,
    /// Write the summary as JSON, in k6's form with the course of the run beside it
    #[arg(long, value_name = "FILE.json")]
    summary_export: Option<PathBuf>,
    /// Write the report as one HTML file with plots
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Leave the Queries and everything else that was made where they are
    #[arg(long)]
    keep: bool,
    /// Say nothing before the summary
    #[arg(long, short)]
    quiet: bool,
}

const AFTER_HELP: &str = "\
A scenario file:
  setup: [agent.yaml]                  # made before, removed after
  scenarios:
    steady:
      executor: constant-arrival-rate  # ramping-arrival-rate, constant-vus, per-vu-iterations
      rate: ${RATE:-20}                # Queries per second
      duration: 30s
      maxVUs: 1000                     # Queries under way at most
      exec: {target: {type: agent, name: a}, input: 'Question {{.iter}}'}
  checks:
    answered: {phase: done}
  thresholds:
    query_duration: ['p(95)<2000']     # milliseconds
    query_failed: ['rate<0.01']
    dropped_iterations: ['count==0']
  events:
    - {at: 10s, admin: {faults: {status: 503, share: 0.5}}}

Try it, with `ark up` in another terminal:
  ark loadtest burst -e PEAK=300 --html burst.html

Exit status: 0 passed, 99 a threshold is broken or an event failed, 105 interrupted, 1 anything else.
docs/LOADTEST.md says everything.";

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

/// A run that ended in order and did not pass.
#[derive(Debug)]
struct NotPassed {
    code: u8,
    why: String,
}

impl std::fmt::Display for NotPassed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for NotPassed {}

/// What a command that ended with this error exits with.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<NotPassed>() {
        Some(not_passed) => ExitCode::from(not_passed.code),
        None => ExitCode::FAILURE,
    }
}

impl Loadtest {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let given: BTreeMap<String, String> = self.env.iter().cloned().collect();
        let scenario = Scenario::read(&self.scenario, &given)?;
        let shutdown = process::shutdown_on_signal()?;
        let options = scenario::Options {
            client: self.cluster.look().await?,
            store: self.store().await?,
            provider_url: self.provider_url.clone(),
            keep: self.keep,
            quiet: self.quiet,
        };
        let report = scenario::run(scenario, &options, shutdown).await?;
        print!("{report}");
        if let Some(file) = &self.summary_export {
            let text = serde_json::to_string_pretty(&report.json())?;
            write(file, &text)?;
        }
        if let Some(file) = &self.html {
            write(file, &report.html())?;
        }
        verdict(&report)
    }

    async fn store(&self) -> anyhow::Result<Option<Store>> {
        let Some(url) = &self.database_url else {
            return Ok(None);
        };
        let options = ConnectOptions {
            max_connections: 2,
            application_name: "ark-loadtest",
            patience: Duration::from_secs(3),
        };
        let store = Store::connect(url, options).await;
        let store = store.context("cannot connect to the database")?;
        store.check().await?;
        Ok(Some(store))
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn verdict(report: &Report) -> anyhow::Result<()> {
    if report.passed() {
        return Ok(());
    }
    let (code, why) = match (report.interrupted(), report.broken()) {
        (true, _) => (INTERRUPTED, "the run was interrupted".to_owned()),
        (false, broken) if broken.is_empty() => {
            let why = format!("{} events failed", report.failed_events());
            (THRESHOLDS_BROKEN, why)
        }
        (false, broken) => {
            let why = format!("thresholds have been crossed: {}", broken.join(", "));
            (THRESHOLDS_BROKEN, why)
        }
    };
    bail!(NotPassed { code, why })
}
