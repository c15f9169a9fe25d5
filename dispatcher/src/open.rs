//! The Queries that have not ended, by uid: what is known of each, and its object only until it is enqueued.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use crate::decide::{Action, Known, Seen, decide};
use crate::metrics::Metrics;

/// A Query's object with its first sight, without its status.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub(crate) query: Arc<Value>,
    pub(crate) since: Instant,
}

enum Stage {
    Planning(Sighting),
    /// Its object went while it was being planned, so that its key may be taken or not.
    Gone,
    Enqueued {
        cancel: bool,
        ttl: Option<Duration>,
    },
}

struct Entry {
    namespace: String,
    name: String,
    stage: Stage,
}

/// A Query in the queue, as far as this dispatcher knows.
#[derive(Debug, Clone)]
pub(crate) struct Tracked {
    pub(crate) uid: Uuid,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The Queries that have not ended.
pub(crate) struct OpenQueries {
    entries: Mutex<HashMap<Uuid, Entry>>,
    metrics: Metrics,
}

impl OpenQueries {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            entries: Mutex::default(),
            metrics,
        }
    }

    // A panic while holding the lock ends the whole dispatcher, so the entries are never half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.entries
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn known(&self, uid: Uuid) -> Option<Known> {
        self.lock().get(&uid).map(|entry| match entry.stage {
            Stage::Planning(_) | Stage::Gone => Known::Planning,
            Stage::Enqueued { cancel, ttl } => Known::Enqueued { cancel, ttl },
        })
    }

    /// Notes a Query to plan. Whether it is new: if not, who plans it already takes this newer object.
    pub(crate) fn plan(&self, tracked: Tracked, query: Arc<Value>) -> bool {
        let mut entries = self.lock();
        let known = entries
            .get(&tracked.uid)
            .and_then(|entry| match &entry.stage {
                Stage::Planning(sighting) => Some(sighting.since),
                Stage::Gone | Stage::Enqueued { .. } => None,
            });
        let since = Instant::now();
        let entry = Entry {
            namespace: tracked.namespace,
            name: tracked.name,
            stage: Stage::Planning(Sighting { query, since }),
        };
        entries.insert(tracked.uid, entry);
        self.metrics.open.set(entries.len() as i64);
        known.is_none()
    }

    /// The newest object of a Query that is to be planned; none when it is gone or enqueued.
    pub(crate) fn sighting(&self, uid: Uuid) -> Option<Sighting> {
        match &self.lock().get(&uid)?.stage {
            Stage::Planning(sighting) => Some(sighting.clone()),
            Stage::Gone | Stage::Enqueued { .. } => None,
        }
    }

    /// Notes what the queue knows of a Query.
    pub(crate) fn enqueued(&self, tracked: Tracked, cancel: bool, ttl: Option<Duration>) {
        let mut entries = self.lock();
        let entry = Entry {
            namespace: tracked.namespace,
            name: tracked.name,
            stage: Stage::Enqueued { cancel, ttl },
        };
        entries.insert(tracked.uid, entry);
        self.metrics.open.set(entries.len() as i64);
    }

    /// Ends the planning of a Query that is now in the queue, and says what its user has come to want meanwhile.
    pub(crate) fn settle(&self, uid: Uuid, cancel: bool, ttl: Option<Duration>) -> Vec<Action> {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&uid) else {
            return Vec::new(); // the comparison finds out
        };
        let actions = match &entry.stage {
            Stage::Planning(sighting) => decide(
                Seen::of(&sighting.query),
                Some(Known::Enqueued { cancel, ttl }),
            ),
            Stage::Gone => vec![Action::Forget, Action::Close],
            Stage::Enqueued { .. } => return Vec::new(),
        };
        entry.stage = Stage::Enqueued { cancel, ttl };
        apply(entry, &actions);
        if actions.contains(&Action::Close) {
            entries.remove(&uid);
            self.metrics.open.set(entries.len() as i64);
        }
        actions
    }

    /// Notes what was passed on to the queue.
    pub(crate) fn passed_on(&self, uid: Uuid, actions: &[Action]) {
        if let Some(entry) = self.lock().get_mut(&uid) {
            apply(entry, actions);
        }
    }

    pub(crate) fn close(&self, uid: Uuid) {
        let mut entries = self.lock();
        entries.remove(&uid);
        self.metrics.open.set(entries.len() as i64);
    }

    /// Notes that a Query's object is gone.
    pub(crate) fn gone(&self, uid: Uuid) {
        let mut entries = self.lock();
        match entries.get_mut(&uid) {
            Some(entry) if matches!(entry.stage, Stage::Planning(_)) => entry.stage = Stage::Gone,
            _ => drop(entries.remove(&uid)),
        }
        self.metrics.open.set(entries.len() as i64);
    }

    /// Ends the planning of a Query that will not get into the queue, unless its object can be planned after all.
    pub(crate) fn abandon(&self, uid: Uuid) {
        let mut entries = self.lock();
        if entries
            .get(&uid)
            .is_some_and(|entry| matches!(entry.stage, Stage::Gone))
        {
            entries.remove(&uid);
            self.metrics.open.set(entries.len() as i64);
        }
    }

    pub(crate) fn uids(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    /// Every Query that should be in the queue.
    pub(crate) fn tracked(&self) -> Vec<Tracked> {
        let entries = self.lock();
        let enqueued = entries
            .iter()
            .filter(|(_, entry)| matches!(entry.stage, Stage::Enqueued { .. }));
        enqueued.map(|(uid, entry)| entry.tracked(*uid)).collect()
    }
}

impl Entry {
    fn tracked(&self, uid: Uuid) -> Tracked {
        Tracked {
            uid,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

fn apply(entry: &mut Entry, actions: &[Action]) {
    let Stage::Enqueued { cancel, ttl } = &mut entry.stage else {
        return;
    };
    for action in actions {
        match action {
            Action::Cancel => *cancel = true,
            Action::SetTtl(new) => *ttl = Some(*new),
            _ => {}
        }
    }
}
