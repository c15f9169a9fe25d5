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
use crate::provider::Models;
use crate::runs::Runs;
use crate::secrets::Secrets;
use crate::tool::Tools;

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
