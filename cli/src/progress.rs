//! Live progress: each committed step of each run, as it happens.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use ark_store::{Step, StepKind, Store};
use tokio::sync::Mutex;
use uuid::Uuid;

/// How often the store is looked at.
const EVERY: Duration = Duration::from_millis(150);

/// Prints steps that have not been printed yet.
pub(crate) struct Progress {
    store: Store,
    wanted: bool,
    only: Option<Uuid>,
    seen: Mutex<HashSet<(i64, String, StepKind)>>,
    started: Instant,
}

impl Progress {
    pub(crate) fn new(store: Store, wanted: bool) -> Self {
        Self {
            store,
            wanted,
            only: None,
            seen: Mutex::new(HashSet::new()),
            started: Instant::now(),
        }
    }

    /// Shows only the Query with this uid.
    pub(crate) fn only(self, uid: Uuid) -> Self {
        Self {
            only: Some(uid),
            ..self
        }
    }

    /// Waits a little, then prints what is new; never returns when nobody wants to see it.
    pub(crate) async fn show(&self) {
        if !self.wanted {
            return std::future::pending().await;
        }
        tokio::time::sleep(EVERY).await;
        self.catch_up().await;
    }

    /// Prints what is new.
    pub(crate) async fn catch_up(&self) {
        if !self.wanted {
            return;
        }
        // Progress is a courtesy: a database that is away shows nothing and harms nothing.
        let Ok(executions) = self.store.live(0, 1000).await else {
            return;
        };
        let names: HashMap<i64, String> = executions
            .into_iter()
            .filter(|execution| self.only.is_none_or(|uid| uid == execution.uid))
            .map(|execution| {
                (
                    execution.execution,
                    format!("{}/{}", execution.namespace, execution.name),
                )
            })
            .collect();
        let ids: Vec<i64> = names.keys().copied().collect();
        let Ok(steps) = self.store.steps(&ids).await else {
            return;
        };
        let mut seen = self.seen.lock().await;
        for step in steps {
            if seen.insert((step.execution, step.path.clone(), step.kind)) {
                self.print(&names[&step.execution], &step);
            }
        }
    }

    fn print(&self, name: &str, step: &Step) {
        let what = match step.kind {
            StepKind::Started => "starts a tool",
            StepKind::Reply => "reply",
            StepKind::Result => "tool result",
        };
        let tokens = match step.usage.total_tokens {
            0 => String::new(),
            tokens => format!(", {tokens} tokens"),
        };
        let seconds = self.started.elapsed().as_secs_f64();
        eprintln!("[{seconds:6.2} s] {name}  {}  {what}{tokens}", step.path);
    }
}
