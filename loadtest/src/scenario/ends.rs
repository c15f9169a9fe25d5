//! The ends of Queries, seen on one watch per namespace: nothing is asked for twice, and nobody polls.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::duration;
use super::query::{self, End};

/// How long the watches may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// An end, with the moment in which the watch showed it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) end: End,
}

type Waiting = HashMap<(String, String), oneshot::Sender<Seen>>;

/// Watches that tell whoever waits for a Query of its end.
#[derive(Debug)]
pub(super) struct Ends {
    shared: Arc<Shared>,
    _watches: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    broken: AtomicU64,
}

/// Somebody waits for a Query; dropped, nobody does.
#[derive(Debug)]
pub(super) struct Expected {
    shared: Arc<Shared>,
    key: (String, String),
    seen: oneshot::Receiver<Seen>,
}

impl Ends {
    /// Begins to watch the Queries of a run; returns when no end can be missed any more.
    ///
    /// # Errors
    /// When the Queries of a namespace cannot be watched.
    pub(super) async fn watch(
        client: &Client,
        namespaces: &BTreeSet<String>,
        run: &str,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut watches = JoinSet::new();
        for namespace in namespaces {
            let resource = query::resource();
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), namespace, &resource);
            let config = watcher::Config::default().labels(&format!("{}={run}", query::LABEL));
            let mut events = kube::runtime::watcher(api, config)
                .default_backoff()
                .boxed();
            let begun = async {
                while let Some(event) = events.try_next().await? {
                    if matches!(event, Event::InitDone) {
                        return Ok(());
                    }
                }
                bail!("the watch ended")
            };
            let begun = tokio::time::timeout(PATIENCE, begun).await;
            let begun = begun.unwrap_or_else(|_| bail!("no answer within {PATIENCE:?}"));
            begun.with_context(|| format!("cannot watch the Queries of namespace {namespace}"))?;
            let shared = shared.clone();
            watches.spawn(async move {
                while let Some(event) = events.next().await {
                    shared.take(event);
                }
            });
        }
        Ok(Self {
            shared,
            _watches: watches,
        })
    }

    /// Waits for the end of a Query from now on.
    pub(super) fn expect(&self, namespace: &str, name: &str) -> Expected {
        let (sender, seen) = oneshot::channel();
        let key = (namespace.to_owned(), name.to_owned());
        self.shared.waiting().insert(key.clone(), sender);
        Expected {
            shared: self.shared.clone(),
            key,
            seen,
        }
    }

    /// How often a watch broke off and had to begin anew.
    pub(super) fn broken(&self) -> u64 {
        self.shared.broken.load(Ordering::Relaxed)
    }
}

impl Expected {
    pub(super) async fn seen(&mut self) -> Seen {
        match (&mut self.seen).await {
            Ok(seen) => seen,
            // The watches live as long as the run.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.shared.waiting().remove(&self.key);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: watcher::Result<Event<DynamicObject>>) {
        let query = match event {
            Ok(Event::Apply(query) | Event::InitApply(query)) => query,
            Ok(_) => return,
            Err(error) => {
                if self.broken.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!("the watch of Queries broke and begins anew: {error}");
                }
                return;
            }
        };
        let at = Instant::now();
        let Some(end) = end(&query) else { return };
        let key = (query.namespace().unwrap_or_default(), query.name_any());
        if let Some(waiting) = self.waiting().remove(&key) {
            // Whoever has just stopped waiting needs no answer.
            waiting.send(Seen { at, end }).ok();
        }
    }
}

/// How a Query ended, if it did.
fn end(query: &DynamicObject) -> Option<End> {
    let status = &query.data["status"];
    let phase = status["phase"].as_str()?;
    if !["done", "error", "canceled"].contains(&phase) {
        return None;
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut completed = conditions.filter(|condition| condition["type"] == "Completed");
    let message = completed
        .next()
        .and_then(|condition| condition["message"].as_str());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(End {
        phase: phase.to_owned(),
        content: text(&status["response"]["content"]),
        message: message.unwrap_or_default().to_owned(),
        executing: status["duration"].as_str().and_then(duration::parse),
    })
}
