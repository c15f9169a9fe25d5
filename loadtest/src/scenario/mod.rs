//! Load tests in k6's words: scenario files, executors, checks, thresholds, and a summary as text, JSON and HTML.
//!
//! A file is read ([`Scenario::read`]) and run ([`run()`]): its objects are made, Queries are created by its executors through
//! the Kubernetes API of any cluster, their ends are seen on a watch, and what was made is removed. Each iteration leaves
//! one record; everything in the [`Report`] is computed from these records, with latency counted from the start that the
//! schedule intended.

mod arrivals;
mod duration;
mod ends;
mod events;
mod executor;
mod file;
mod iteration;
mod load;
mod metrics;
mod progress;
mod query;
mod queue_view;
mod record;
mod report;
mod setup;
mod shipped;
mod threshold;
mod values;
mod variables;

use std::sync::Arc;

use anyhow::{Context, ensure};
use ark_store::Store;
use futures::future::join_all;
use kube::Client;
use kube::api::{Api, DynamicObject};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use ends::Ends;
use events::Provider;
pub use file::Scenario;
use record::{Recorder, Recording};
use report::Generator;
pub use report::Report;
use setup::Setup;

/// Where a scenario is run.
#[derive(Clone)]
pub struct Options {
    /// The cluster that the Queries are created in.
    pub client: Client,
    /// Its queue, for the queue's own view.
    pub store: Option<Store>,
    /// The base URL of a fake provider that the cluster calls; one is started in this process where a scenario needs it.
    pub provider_url: Option<String>,
    /// Leaves everything that was made where it is.
    pub keep: bool,
    /// Says nothing before the summary.
    pub quiet: bool,
}

/// A run under way, as its parts share it.
struct Run {
    scenario: Scenario,
    /// The value of the label that everything made for the run carries.
    id: String,
    client: Client,
    ends: Ends,
    recorder: Recorder,
}

impl Run {
    fn queries(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &query::resource())
    }
}

/// Runs a scenario to its end, or until `stop`, and removes what it made.
///
/// # Errors
/// When the run cannot begin: an object is refused, the Queries cannot be watched, the provider or the database gives no
/// answer. What goes wrong later is part of the report.
pub async fn run(
    scenario: Scenario,
    options: &Options,
    stop: CancellationToken,
) -> anyhow::Result<Report> {
    ensure!(
        options.store.is_some() || !scenario.asks_for_queue(),
        "a threshold asks for the queue's own view, and no database is given"
    );
    let mut provider = match scenario.needs_provider() {
        true => Some(Provider::open(options.provider_url.as_deref()).await?),
        false => None,
    };
    let id = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let mut setup = Setup::new(options.client.clone(), id.clone());
    let namespaces = scenario.namespaces();
    let url = provider.as_ref().map_or("", Provider::url).to_owned();
    let ran = async {
        setup.make(&scenario.setup, &namespaces, &url).await?;
        let ends = Ends::watch(&options.client, &namespaces, &id).await?;
        load(scenario, id, ends, options, provider.as_mut(), stop).await
    };
    let ran = ran.await;
    let mut problems = Vec::new();
    if options.keep {
        problems.push(format!(
            "everything of this run is kept; its label is {}={}",
            query::LABEL,
            setup.run()
        ));
    } else {
        problems.extend(setup.remove(&namespaces).await);
    }
    if let Some(provider) = provider {
        problems.extend(provider.close(ran.is_ok()).await);
    }
    match ran {
        Ok(mut report) => {
            report.add_problems(problems);
            Ok(report)
        }
        Err(error) => {
            for problem in problems {
                tracing::warn!("{problem}");
            }
            Err(error)
        }
    }
}

/// Runs the loads, with everything that happens and is watched beside them.
async fn load(
    scenario: Scenario,
    id: String,
    ends: Ends,
    options: &Options,
    mut provider: Option<&mut Provider>,
    stop: CancellationToken,
) -> anyhow::Result<Report> {
    if !options.quiet {
        progress::announce(&scenario);
    }
    let happened = events::before(&scenario.events, &mut provider).await?;
    let cpu = report::cpu_seconds();
    let run = Arc::new(Run {
        scenario,
        id,
        client: options.client.clone(),
        ends,
        recorder: Recorder::begin(happened),
    });
    let sampling = Aborting(
        tokio::spawn(queue_view::sample(run.clone(), options.store.clone())).abort_handle(),
    );
    let progress = (!options.quiet)
        .then(|| Aborting(tokio::spawn(progress::show(run.clone())).abort_handle()));
    let loads =
        (0..run.scenario.loads.len()).map(|load| executor::run(run.clone(), load, stop.clone()));
    let loads: Vec<_> = loads.map(tokio::spawn).collect();
    let loads = async {
        for ended in join_all(loads).await {
            ended.context("a load panicked")?;
        }
        anyhow::Ok(())
    };
    tokio::pin!(loads);
    tokio::select! {
        ended = &mut loads => ended?,
        () = events::run(run.clone(), provider) => loads.await?,
    }
    let planned = run.scenario.events.len();
    drop((sampling, progress));
    let broken_watches = run.ends.broken();
    let (scenario, recording) = finish(run).await;
    let mut report = Report::new(
        scenario,
        recording,
        Generator {
            cpu_seconds: report::cpu_seconds() - cpu,
            broken_watches,
        },
        stop.is_cancelled(),
    );
    report.note_missed_events(planned);
    Ok(report)
}

/// Takes the records out of a run once all its tasks have let go of it.
async fn finish(mut run: Arc<Run>) -> (Scenario, Recording) {
    loop {
        match Arc::try_unwrap(run) {
            Ok(run) => return (run.scenario, run.recorder.end()),
            Err(shared) => run = shared,
        }
        // An aborted task lets go at its next turn.
        tokio::task::yield_now().await;
    }
}

/// A task that ends with this.
struct Aborting(AbortHandle);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}
