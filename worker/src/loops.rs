//! The loops of a process, by name, so that the end of one that should never end is noticed.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::beat::Heart;
use crate::claim::Claimer;
use crate::nudge::Nudges;
use crate::process::Process;
use crate::report::Reporter;
use crate::{compare, upkeep};

/// Running loops; dropped, they end.
#[derive(Default)]
pub(crate) struct Loops {
    set: JoinSet<&'static str>,
    names: HashMap<Id, &'static str>,
}

impl Loops {
    /// Starts what every process has, with or without slots.
    pub(crate) fn start(
        process: &Process,
        heart: Heart,
        nudges: &Nudges,
        reporter: &Reporter,
        stop: &CancellationToken,
    ) -> Self {
        let store = || process.store.clone();
        let reporting = reporter.clone();
        let mut loops = Self::default();
        loops.spawn(
            "heartbeat",
            heart.run(Arc::clone(&nudges.intents), stop.clone()),
        );
        loops.spawn(
            "comparison",
            compare::run(
                store(),
                Arc::clone(&process.runs),
                process.lease.clone(),
                stop.clone(),
            ),
        );
        loops.spawn("listener", nudges.clone().listen(store(), stop.clone()));
        loops.spawn(
            "upkeep",
            upkeep::run(store(), process.metrics.clone(), stop.clone()),
        );
        loops.spawn(
            "reporter of outcomes",
            reporting.run_terminal(Arc::clone(&nudges.reports), stop.clone()),
        );
        loops.spawn(
            "reporter of progress",
            reporter.clone().run_early(stop.clone()),
        );
        loops
    }

    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.set.spawn(async move {
            task.await;
            name
        });
        self.names.insert(handle.id(), name);
    }

    /// Starts the claimer, which is not dropped with the loops: its last statement has to be answered. `ended` is
    /// cancelled when it has ended.
    pub(crate) fn spawn_claimer(&mut self, claimer: Claimer, ended: CancellationToken) {
        self.spawn("claimer", ended.clone().cancelled_owned());
        let guard = ended.drop_guard();
        tokio::spawn(async move {
            claimer.run().await;
            drop(guard);
        });
    }

    /// Resolves when one of them ended or panicked, which none should.
    pub(crate) async fn stopped(&mut self) -> &'static str {
        match self.set.join_next().await {
            Some(Ok(name)) => name,
            Some(Err(error)) => self.names.get(&error.id()).copied().unwrap_or("loop"),
            None => std::future::pending().await,
        }
    }
}
