//! The journal of one run: what was committed before is replayed, what is new is committed before anything that depends
//! on it starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ark_plan::{Class, Usage};
use ark_store::{NewStep, Step, StepKind, Store};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::backoff::Backoff;
use crate::commit::{StepWriter, verdict};
use crate::failure::{Failure, Halt};
use crate::metrics::Metrics;
use crate::runs::Handle;

/// The committed steps of one run and the way to commit more.
pub(crate) struct Journal<'r> {
    handle: &'r Handle,
    writer: StepWriter,
    store: &'r Store,
    metrics: &'r Metrics,
    /// In the order of their commit, without what was discarded.
    past: Mutex<Vec<Step>>,
    usage: Mutex<Usage>,
    progressed: AtomicBool,
}

/// SHA-256 of a request's JSON, by which a step is known to answer it.
pub(crate) fn request_hash(request: &impl Serialize) -> [u8; 32] {
    let text = serde_json::to_vec(request).expect("requests are plain data");
    Sha256::digest(text).into()
}

/// What the past says about a path.
#[derive(Debug, PartialEq)]
enum Replay {
    /// Nothing: do it.
    Missing,
    /// It was done for the same request; its body.
    Done(String),
    /// It may have been done, and must not be done twice.
    Doubtful,
    /// It was done for another request: these paths no longer hold.
    Stale(Vec<String>),
}

impl<'r> Journal<'r> {
    /// `past`: the committed steps in order.
    pub(crate) fn new(
        handle: &'r Handle,
        writer: StepWriter,
        store: &'r Store,
        metrics: &'r Metrics,
        past: Vec<Step>,
    ) -> Self {
        let mut usage = Usage::default();
        past.iter().for_each(|step| usage += step.usage);
        Self {
            handle,
            writer,
            store,
            metrics,
            past: Mutex::new(past),
            usage: Mutex::new(usage),
            progressed: AtomicBool::new(false),
        }
    }

    /// The body committed for this path and request, if there is one. Steps that no longer fit are discarded, unless a
    /// tool ran among them that must not run twice.
    pub(crate) async fn replay(
        &self,
        path: &str,
        request_hash: [u8; 32],
    ) -> Result<Option<String>, Halt> {
        let replay = look(&lock(&self.past), path, request_hash);
        match replay {
            Replay::Missing => Ok(None),
            Replay::Done(body) => {
                self.metrics.replayed.inc();
                Ok(Some(body))
            }
            Replay::Doubtful => Err(unsafe_repeat(path).into()),
            Replay::Stale(paths) => {
                self.discard(&paths).await?;
                Ok(None)
            }
        }
    }

    /// Commits that a tool which must not run twice is about to start.
    pub(crate) async fn started(&self, path: &str, request_hash: [u8; 32]) -> Result<(), Halt> {
        self.commit(
            path,
            StepKind::Started,
            request_hash,
            String::new(),
            Usage::default(),
        )
        .await
    }

    /// Commits a model's reply.
    pub(crate) async fn reply(
        &self,
        path: &str,
        hash: [u8; 32],
        body: String,
        usage: Usage,
    ) -> Result<(), Halt> {
        self.commit(path, StepKind::Reply, hash, body, usage).await
    }

    /// Commits a tool's result.
    pub(crate) async fn result(
        &self,
        path: &str,
        hash: [u8; 32],
        body: String,
    ) -> Result<(), Halt> {
        self.commit(path, StepKind::Result, hash, body, Usage::default())
            .await
    }

    /// Tokens of all committed calls.
    pub(crate) fn usage(&self) -> Usage {
        *lock(&self.usage)
    }

    /// Whether this run has committed anything itself.
    pub(crate) fn progressed(&self) -> bool {
        self.progressed.load(Ordering::Relaxed)
    }

    async fn commit(
        &self,
        path: &str,
        kind: StepKind,
        request_hash: [u8; 32],
        body: String,
        usage: Usage,
    ) -> Result<(), Halt> {
        // From here on nobody may give the run back as one that never started.
        if !self.handle.begin() {
            return Err(Halt::Lost);
        }
        let step = NewStep {
            execution: self.handle.execution,
            run_token: self.handle.run_token,
            path: path.to_owned(),
            kind,
            request_hash,
            body,
            usage,
        };
        self.writer.commit(step).await?;
        *lock(&self.usage) += usage;
        self.progressed.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn discard(&self, paths: &[String]) -> Result<(), Halt> {
        let mut backoff = Backoff::database();
        loop {
            match self
                .store
                .discard_steps(self.handle.execution, self.handle.run_token, paths)
                .await
            {
                Ok(fenced) => break verdict(fenced)?,
                Err(error) => tracing::warn!(%error, "steps cannot be discarded yet"),
            }
            backoff.sleep().await;
        }
        let mut past = lock(&self.past);
        let mut usage = Usage::default();
        past.retain(|step| !paths.contains(&step.path));
        past.iter().for_each(|step| usage += step.usage);
        *lock(&self.usage) = usage;
        tracing::info!(
            execution = self.handle.execution,
            steps = paths.len(),
            "steps that no longer fit were discarded"
        );
        Ok(())
    }
}

/// Decides what the committed steps say about `path`.
fn look(past: &[Step], path: &str, request_hash: [u8; 32]) -> Replay {
    let Some(first) = past.iter().position(|step| step.path == path) else {
        return Replay::Missing;
    };
    let of_path: Vec<&Step> = past.iter().filter(|step| step.path == path).collect();
    if of_path.iter().any(|step| step.request_hash != request_hash) {
        // Whatever was committed later may have been decided by it. A started mark stands only before an unsafe tool.
        let successors = &past[first..];
        if successors.iter().any(|step| step.kind == StepKind::Started) {
            return Replay::Doubtful;
        }
        let mut paths: Vec<String> = successors.iter().map(|step| step.path.clone()).collect();
        paths.dedup();
        return Replay::Stale(paths);
    }
    match of_path.iter().find(|step| step.kind != StepKind::Started) {
        Some(done) => Replay::Done(done.body.clone()),
        None => Replay::Doubtful,
    }
}

fn unsafe_repeat(path: &str) -> Failure {
    Failure::new(
        Class::UnsafeRepeat,
        format!(
            "The tool call at {path} may already have happened when its worker was lost, and the tool is not declared safe \
             to repeat; check its effect and ask again, or set idempotentHint on the Tool."
        ),
    )
}

/// A committed step whose body another version wrote in its own way; to do it again would be paid for again.
pub(crate) fn unreadable(path: &str) -> Failure {
    Failure::new(
        Class::Internal,
        format!("The committed step {path} cannot be read by this version."),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{Runs, Stop};

    const ONE: [u8; 32] = [1; 32];
    const TWO: [u8; 32] = [2; 32];

    fn step(path: &str, kind: StepKind, request_hash: [u8; 32]) -> Step {
        Step {
            execution: 1,
            path: path.into(),
            kind,
            request_hash,
            body: format!("body of {path}"),
            usage: Usage::default(),
            run_token: uuid::Uuid::nil(),
        }
    }

    #[test]
    fn what_fits_is_replayed() {
        let past = [
            step("turn.1", StepKind::Reply, ONE),
            step("turn.1/call.1", StepKind::Result, TWO),
        ];
        assert_eq!(
            look(&past, "turn.1", ONE),
            Replay::Done("body of turn.1".into())
        );
        assert_eq!(
            look(&past, "turn.1/call.1", TWO),
            Replay::Done("body of turn.1/call.1".into())
        );
        assert_eq!(look(&past, "turn.2", ONE), Replay::Missing);
    }

    #[test]
    fn what_no_longer_fits_goes_with_its_successors() {
        let past = [
            step("turn.1", StepKind::Reply, ONE),
            step("turn.1/call.1", StepKind::Result, ONE),
            step("turn.2", StepKind::Reply, ONE),
        ];
        let stale = ["turn.1/call.1", "turn.2"].map(String::from).to_vec();
        assert_eq!(look(&past, "turn.1/call.1", TWO), Replay::Stale(stale));
    }

    #[test]
    fn an_unsafe_tool_is_never_run_twice() {
        let open = [
            step("turn.1", StepKind::Reply, ONE),
            step("turn.1/call.1", StepKind::Started, ONE),
        ];
        assert_eq!(look(&open, "turn.1/call.1", ONE), Replay::Doubtful);
        assert_eq!(
            look(&open, "turn.1", TWO),
            Replay::Doubtful,
            "it would be decided anew"
        );
        let closed = [
            step("call.1", StepKind::Started, ONE),
            step("call.1", StepKind::Result, ONE),
        ];
        assert_eq!(
            look(&closed, "call.1", ONE),
            Replay::Done("body of call.1".into())
        );
    }

    #[tokio::test]
    async fn a_run_that_commits_a_step_has_begun() {
        let store = ark_store::testing::database().await.store;
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let runs = Runs::default();
        let incarnation = uuid::Uuid::new_v4();
        runs.begin_incarnation(incarnation);
        let handle = runs.insert(1, uuid::Uuid::new_v4(), incarnation).unwrap();
        let (writer, writing) = StepWriter::new(store.clone(), metrics.clone());
        tokio::spawn(writing);
        let journal = Journal::new(&handle, writer, &store, &metrics, Vec::new());
        let committed = journal.result("call.1", ONE, "{}".to_owned()).await;
        assert_eq!(committed, Err(Halt::Lost), "it has no row");
        assert!(!handle.stop(Stop::GiveBack));
    }
}
