//! The runs that this process has, so that the beat can stop them and the drain can see them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ark_store::Intent;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Every run between its claim and the acknowledgement of its end.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    incarnation: Uuid,
    runs: HashMap<(i64, Uuid), Arc<Handle>>,
}

/// One run as others see it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) execution: i64,
    pub(crate) run_token: Uuid,
    pub(crate) incarnation: Uuid,
    stage: Mutex<Stage>,
    stopped: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing has left this process for it.
    Claimed,
    /// A call has started or may have.
    Begun,
    /// It is to stop, or has.
    Stopped(Stop),
}

/// Why a run is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `spec.cancel`, or the object is gone, or somebody else ended it.
    Canceled,
    /// The lease is lost: write nothing.
    Lost,
    /// The process ends and the run has not started: another worker may have it as if it had never been claimed.
    GiveBack,
    /// The process ends and cannot wait any longer: another worker goes on from the last committed step.
    Drained,
}

impl Runs {
    /// Makes `incarnation` the one whose runs are accepted, and stops those of any other.
    pub(crate) fn begin_incarnation(&self, incarnation: Uuid) -> usize {
        let mut state = self.lock();
        state.incarnation = incarnation;
        let lost: Vec<_> = state
            .runs
            .values()
            .filter(|run| run.incarnation != incarnation)
            .cloned()
            .collect();
        lost.iter().filter(|run| run.stop(Stop::Lost)).count()
    }

    /// Enters a claimed run; `None` when its incarnation is no longer ours.
    pub(crate) fn insert(
        &self,
        execution: i64,
        run_token: Uuid,
        incarnation: Uuid,
    ) -> Option<Arc<Handle>> {
        let mut state = self.lock();
        if state.incarnation != incarnation {
            return None;
        }
        let handle = Arc::new(Handle {
            execution,
            run_token,
            incarnation,
            stage: Mutex::new(Stage::Claimed),
            stopped: CancellationToken::new(),
        });
        state
            .runs
            .insert((execution, run_token), Arc::clone(&handle));
        Some(handle)
    }

    pub(crate) fn remove(&self, handle: &Handle) {
        self.lock()
            .runs
            .remove(&(handle.execution, handle.run_token));
    }

    pub(crate) fn contains(&self, execution: i64, run_token: Uuid) -> bool {
        self.lock().runs.contains_key(&(execution, run_token))
    }

    /// Passes on what a beat was told.
    pub(crate) fn stop(&self, execution: i64, run_token: Uuid, why: Intent) {
        let handle = self.lock().runs.get(&(execution, run_token)).cloned();
        if let Some(handle) = handle {
            let stop = if why == Intent::Lost {
                Stop::Lost
            } else {
                Stop::Canceled
            };
            if handle.stop(stop) {
                tracing::debug!(execution, ?why, "a run is stopped");
            }
        }
    }

    /// All runs at this moment.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        self.lock().runs.values().cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().runs.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// Called before anything leaves the process for this run; false when it is to stop instead.
    pub(crate) fn begin(&self) -> bool {
        let mut stage = self.lock();
        match *stage {
            Stage::Stopped(_) => false,
            _ => {
                *stage = Stage::Begun;
                true
            }
        }
    }

    /// Asks the run to stop; false when it was asked before, or has begun and `why` is for those that have not.
    pub(crate) fn stop(&self, why: Stop) -> bool {
        let mut stage = self.lock();
        match (*stage, why) {
            (Stage::Stopped(_), _) | (Stage::Begun, Stop::GiveBack) => return false,
            _ => *stage = Stage::Stopped(why),
        }
        drop(stage);
        self.stopped.cancel();
        true
    }

    /// Why the run is to stop, if it is.
    pub(crate) fn stop_asked(&self) -> Option<Stop> {
        match *self.lock() {
            Stage::Stopped(why) => Some(why),
            Stage::Claimed | Stage::Begun => None,
        }
    }

    /// Resolves when the run is to stop.
    pub(crate) async fn stopped(&self) -> Stop {
        self.stopped.cancelled().await;
        // The token is cancelled only after the stage was set.
        self.stop_asked().unwrap_or(Stop::Lost)
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lost_incarnation_takes_its_runs_along() {
        let runs = Runs::default();
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        runs.begin_incarnation(first);
        let run = runs.insert(1, Uuid::new_v4(), first).unwrap();
        assert_eq!(runs.begin_incarnation(second), 1);
        assert_eq!(run.stopped().await, Stop::Lost);
        assert!(
            runs.insert(2, Uuid::new_v4(), first).is_none(),
            "claimed under the lost incarnation"
        );
        assert!(!run.begin());
    }

    #[test]
    fn only_what_has_not_begun_is_given_back() {
        let runs = Runs::default();
        let incarnation = Uuid::new_v4();
        runs.begin_incarnation(incarnation);
        let waiting = runs.insert(1, Uuid::new_v4(), incarnation).unwrap();
        let begun = runs.insert(2, Uuid::new_v4(), incarnation).unwrap();
        assert!(begun.begin());
        assert!(waiting.stop(Stop::GiveBack));
        assert!(!begun.stop(Stop::GiveBack));
        assert!(begun.stop(Stop::Drained));
    }
}
