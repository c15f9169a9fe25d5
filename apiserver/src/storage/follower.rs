//! One task per process follows the store's changes and hands each to the watches that want it.
//!
//! Exactly once and in order: the position only moves after every watch has been given all of its changes up to there.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ark_store::objects::CHANGES;
use ark_store::{Changes, Event, Store};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::catalog::Resource;
use crate::metrics::Metrics;
use crate::object::Labels;

/// Changes that a watch may be behind before it is ended; its client resumes from its last version.
const QUEUE: usize = 1024;
const PAGE: i64 = 500;
const POLL: Duration = Duration::from_secs(1);

/// A change as all watches of its kind share it; the labels of both states are read at most once.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) event: Event,
    before: OnceLock<BTreeMap<String, String>>,
    after: OnceLock<BTreeMap<String, String>>,
}

impl Change {
    pub(crate) fn new(event: Event) -> Arc<Self> {
        Arc::new(Self {
            event,
            before: OnceLock::new(),
            after: OnceLock::new(),
        })
    }

    pub(crate) fn labels_before(&self) -> &BTreeMap<String, String> {
        let text = self.event.before.as_deref().unwrap_or_default();
        self.before.get_or_init(|| Labels::read(text))
    }

    pub(crate) fn labels_after(&self) -> &BTreeMap<String, String> {
        self.after.get_or_init(|| Labels::read(&self.event.after))
    }
}

/// Group and kind, as the store names them.
type FeedKey = (String, String);

/// What a watch wants to hear of: empty means all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interest {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Interest {
    pub(crate) fn covers(&self, event: &Event) -> bool {
        (self.namespace.is_empty() || self.namespace == event.key.namespace)
            && (self.name.is_empty() || self.name == event.key.name)
    }
}

struct Watcher {
    id: u64,
    interest: Interest,
    queue: mpsc::Sender<Arc<Change>>,
}

/// All watches, each of which has been given every change up to `position`.
#[derive(Default)]
struct Feeds {
    next_id: u64,
    position: i64,
    by_kind: HashMap<FeedKey, Vec<Watcher>>,
}

/// Where watches subscribe; cheap to clone.
#[derive(Clone)]
pub(crate) struct Follower {
    feeds: Arc<Mutex<Feeds>>,
    nudge: Arc<Notify>,
    store: Store,
    metrics: Metrics,
}

/// A watch's place among the others; dropping it leaves.
pub(crate) struct Subscription {
    follower: Follower,
    key: FeedKey,
    id: u64,
    /// Changes up to here were before the subscription; later ones arrive in `changes`.
    pub(crate) joined_at: i64,
    /// Ends when the watch was too slow or its place in history was lost.
    pub(crate) changes: mpsc::Receiver<Arc<Change>>,
}

impl Follower {
    /// Starts the following task.
    pub(crate) fn start(store: Store, metrics: Metrics, shutdown: CancellationToken) -> Self {
        let follower = Self {
            feeds: Arc::default(),
            nudge: Arc::default(),
            store,
            metrics,
        };
        tokio::spawn(follower.clone().follow(shutdown.clone()));
        tokio::spawn(follower.clone().listen(shutdown));
        follower
    }

    /// Looks at the changes at once instead of at the next poll.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Joins the feed of a kind.
    pub(crate) async fn subscribe(
        &self,
        resource: &Resource,
        interest: Interest,
    ) -> Result<Subscription, ark_store::Error> {
        let key = (resource.stored_group().to_owned(), resource.kind.clone());
        let head = self.store.revisions().await?.head;
        let (queue, changes) = mpsc::channel(QUEUE);
        let mut feeds = self.lock();
        if feeds.by_kind.is_empty() {
            feeds.position = head;
        }
        let joined_at = feeds.position;
        feeds.next_id += 1;
        let id = feeds.next_id;
        let watchers = feeds.by_kind.entry(key.clone()).or_default();
        watchers.push(Watcher {
            id,
            interest,
            queue,
        });
        drop(feeds);
        self.metrics.watches.inc();
        // What was committed since the last look reaches the new watch without waiting for the next one.
        self.nudge();
        Ok(Subscription {
            follower: self.clone(),
            key,
            id,
            joined_at,
            changes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(self, shutdown: CancellationToken) {
        let listening = async {
            loop {
                match self.store.listen(&[CHANGES]).await {
                    Ok(mut listener) => {
                        while listener.recv().await.is_ok() {
                            self.nudge();
                        }
                    }
                    Err(error) => tracing::debug!(%error, "not listening for changes; polling"),
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = listening => {}
        }
    }

    async fn follow(self, shutdown: CancellationToken) {
        let mut reachable = true;
        loop {
            let result = self.look().await;
            match &result {
                Err(error) if reachable => {
                    tracing::warn!(%error, "changes cannot be read; watches wait");
                }
                Ok(()) if !reachable => tracing::info!("changes can be read again"),
                _ => {}
            }
            reachable = result.is_ok();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.nudge.notified(), if reachable => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Hands out everything up to the head.
    async fn look(&self) -> Result<(), ark_store::Error> {
        while let Some(position) = self.watched_position() {
            match self.store.changes(None, position, PAGE).await {
                Ok(changes) => {
                    let done = changes.head <= position || (changes.events.len() as i64) < PAGE;
                    self.hand_out(position, changes);
                    if done {
                        return Ok(());
                    }
                }
                // Behind the retained history, as after a long outage: every watch must begin anew.
                Err(ark_store::Error::Compacted { .. }) => self.lock().by_kind.clear(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn watched_position(&self) -> Option<i64> {
        let feeds = self.lock();
        (!feeds.by_kind.is_empty()).then_some(feeds.position)
    }

    fn hand_out(&self, from: i64, changes: Changes) {
        let mut feeds = self.lock();
        // The last watch left and another came while the changes were read.
        if feeds.position != from {
            return;
        }
        for event in changes.events {
            let key = (event.key.group.clone(), event.key.kind.clone());
            let Some(watchers) = feeds.by_kind.get_mut(&key) else {
                continue;
            };
            let change = Change::new(event);
            watchers.retain(|watcher| self.hand(watcher, &change));
        }
        feeds.by_kind.retain(|_, watchers| !watchers.is_empty());
        feeds.position = changes.head.max(from);
    }

    /// Whether the watcher can go on.
    fn hand(&self, watcher: &Watcher, change: &Arc<Change>) -> bool {
        if !watcher.interest.covers(&change.event) {
            return true;
        }
        let keeps_up = watcher.queue.try_send(Arc::clone(change)).is_ok();
        if !keeps_up {
            self.metrics.watch_overruns.inc();
        }
        keeps_up
    }
}

impl Subscription {
    /// Every change up to here stands in `changes` or has been taken out of it; None when the watch has been ended.
    pub(crate) fn position(&self) -> Option<i64> {
        let feeds = self.follower.lock();
        let watchers = feeds.by_kind.get(&self.key)?;
        let member = watchers.iter().any(|w| w.id == self.id);
        member.then_some(feeds.position)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.follower.metrics.watches.dec();
        let mut feeds = self.follower.lock();
        if let Some(watchers) = feeds.by_kind.get_mut(&self.key) {
            watchers.retain(|watcher| watcher.id != self.id);
            if watchers.is_empty() {
                feeds.by_kind.remove(&self.key);
            }
        }
    }
}
