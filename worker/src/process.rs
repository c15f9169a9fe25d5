//! What all loops and runs of one worker process share.

use std::sync::Arc;

use ark_store::Store;
use tokio::sync::watch;

use crate::commit::StepWriter;
use crate::finish::Finisher;
use crate::gate::Lease;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::plans::Plans;
use crate::provider::{Models, Settings};
use crate::runs::Runs;
use crate::secrets::Secrets;
use crate::tool::Tools;
use crate::{Config, Error};

/// One worker process.
pub(crate) struct Process {
    pub(crate) store: Store,
    pub(crate) lease: watch::Receiver<Lease>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) plans: Plans,
    pub(crate) steps: StepWriter,
    pub(crate) finisher: Finisher,
    pub(crate) models: Models,
    pub(crate) tools: Tools,
    pub(crate) secrets: Secrets,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
}

/// The loops that write for a process; they end when the process is dropped and everything is written.
pub(crate) struct Writers<S, F> {
    pub(crate) steps: S,
    pub(crate) endings: F,
}

impl Process {
    /// Puts a process together.
    pub(crate) fn assemble(
        config: &Config,
        client: kube::Client,
        store: Store,
        lease: watch::Receiver<Lease>,
        runs: Arc<Runs>,
    ) -> Result<
        (
            Arc<Self>,
            Writers<impl Future<Output = ()> + use<>, impl Future<Output = ()> + use<>>,
        ),
        Error,
    > {
        let metrics = config.metrics.clone();
        let secrets = Secrets::new(client);
        let limits = Limits::new(metrics.clone());
        let (steps, step_loop) = StepWriter::new(store.clone(), metrics.clone());
        let (finisher, finish_loop) =
            Finisher::new(store.clone(), Arc::clone(&runs), metrics.clone());
        let models = Models::new(
            Settings {
                mode: config.provider.clone(),
                overrides: config.overrides.clone(),
                url_policy: config.model_url_policy,
                timeouts: config.timeouts,
            },
            secrets.clone(),
            limits.clone(),
            metrics.clone(),
        )?;
        let process = Arc::new(Self {
            store,
            lease,
            runs,
            plans: Plans::default(),
            steps,
            finisher,
            models,
            tools: Tools::new(metrics.clone())?,
            secrets,
            limits,
            metrics,
        });
        Ok((
            process,
            Writers {
                steps: step_loop,
                endings: finish_loop,
            },
        ))
    }
}
