//! Watches all Queries and acts on each as it is seen; a restarted watch shows them all, so that none is missed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ark_api::Query;
use ark_store::{LiveExecution, Store};
use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Resource;
use kube::api::{Api, DynamicObject};
use kube::core::params::GetParams;
use kube::core::{ApiResource, Request};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::api::{Answer, Unavailable, send};
use crate::decide::{Action, Known, Seen, decide};
use crate::intents::{Intent, Intents};
use crate::metrics::Metrics;
use crate::open::{OpenQueries, Tracked};
use crate::outage::{chain, outlast};

const PAGE: i64 = 5000;

/// A page of a list, even of large Queries from a busy server.
const LIST_WITHIN: Duration = Duration::from_secs(60);

/// After this the server ends a watch and another one goes on where it ended. One that the server does not end is dead,
/// so that this is about how long a dispatcher can be blind.
const WATCH_SECONDS: u32 = 60;

/// Executions whose objects should exist.
pub(crate) type Live = HashMap<Uuid, Execution>;

/// How far an execution is.
pub(crate) enum Execution {
    /// It has not ended; its object is named.
    Open {
        namespace: String,
        name: String,
    },
    Ended,
}

impl Execution {
    pub(crate) fn known(&self) -> Known {
        match self {
            // What was passed on by an earlier process is not known, and is passed on again.
            Execution::Open { .. } => Known::Enqueued {
                cancel: false,
                ttl: None,
            },
            Execution::Ended => Known::Ended,
        }
    }
}

/// Acts on Queries as they are seen.
pub(crate) struct Watcher {
    pub(crate) client: kube::Client,
    pub(crate) store: Store,
    pub(crate) open: Arc<OpenQueries>,
    pub(crate) intents: Intents,
    pub(crate) plans: mpsc::Sender<Uuid>,
    pub(crate) metrics: Metrics,
}

/// What a restart of the watch has shown so far.
#[derive(Default)]
struct Restart {
    /// The executions before the list was read: what is in here and not in the list is gone.
    live: Live,
    /// The Queries that this process knew before, for the same reason.
    open: Vec<Uuid>,
    listed: HashSet<Uuid>,
}

/// Watches for ever.
pub(crate) async fn watch(watcher: Arc<Watcher>) {
    let mut events = watcher.events();
    let mut restart = Restart::default();
    let mut listing = true;
    let mut failing = false;
    loop {
        // A connection that died without a word is noticed by the watch itself, but not by a list.
        let patience = if listing { LIST_WITHIN } else { Duration::MAX };
        let event = match tokio::time::timeout(patience, events.next()).await {
            Ok(Some(event)) => event.map_err(|error| chain(&error)),
            Ok(None) => return,
            Err(_) => {
                events = watcher.events();
                Err("no answer to a list in time".to_owned())
            }
        };
        let ok = event.is_ok();
        match event {
            Ok(Event::Init) => {
                listing = true;
                restart = watcher.restart().await;
            }
            Ok(Event::InitApply(query)) => watcher.listed(query, &mut restart).await,
            Ok(Event::InitDone) => {
                listing = false;
                watcher.all_listed(std::mem::take(&mut restart));
            }
            Ok(Event::Apply(query)) => watcher.applied(query, None).await,
            Ok(Event::Delete(query)) => watcher.deleted(&query),
            Err(error) => {
                watcher.metrics.watch_errors.inc();
                if !failing {
                    tracing::warn!(error, "the watch of queries is interrupted and tried again");
                }
            }
        }
        if ok && failing {
            tracing::info!("the watch of queries goes on");
        }
        failing = !ok;
    }
}

impl Watcher {
    fn events(&self) -> BoxStream<'static, watcher::Result<Event<DynamicObject>>> {
        // Dynamic, so that one Query of an unknown shape cannot stop the watch of all.
        let resource = ApiResource::erase::<Query>(&());
        let queries: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        watcher::watcher(queries, config).default_backoff().boxed()
    }

    async fn restart(&self) -> Restart {
        Restart {
            live: self.live().await,
            open: self.open.uids(),
            listed: HashSet::new(),
        }
    }

    /// The Query of that name, if it is there.
    pub(crate) async fn get(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>, Unavailable> {
        let request =
            Request::new(Query::url_path(&(), Some(namespace))).get(name, &GetParams::default());
        let request = request.map_err(|error| Unavailable(error.to_string()))?;
        match send(&self.client, request).await? {
            Answer::Object(query) => {
                let query = serde_json::from_value(query);
                query
                    .map(Some)
                    .map_err(|error| Unavailable(error.to_string()))
            }
            Answer::Refused { missing, .. } if missing.as_deref() == Some(name) => Ok(None),
            Answer::Refused { code, message, .. } => Err(Unavailable(format!("{code} {message}"))),
        }
    }

    /// All executions whose objects should exist, however long the database takes to answer.
    pub(crate) async fn live(&self) -> Live {
        outlast("the look at all executions", &self.metrics, || {
            self.live_pages()
        })
        .await
    }

    async fn live_pages(&self) -> Result<Live, ark_store::Error> {
        let mut live = Live::new();
        let mut after = 0;
        loop {
            let page = self.store.live(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(live);
            };
            after = last.execution;
            live.extend(page.into_iter().map(|row| (row.uid, execution(row))));
        }
    }

    async fn listed(&self, query: DynamicObject, restart: &mut Restart) {
        let Some(uid) = uid(&query) else { return };
        restart.listed.insert(uid);
        let known = restart.live.get(&uid).map(Execution::known);
        self.applied(query, known).await;
    }

    fn all_listed(&self, restart: Restart) {
        let known = restart.live.into_keys().chain(restart.open);
        let gone: HashSet<Uuid> = known.filter(|uid| !restart.listed.contains(uid)).collect();
        for uid in &gone {
            self.forget(*uid);
        }
        tracing::info!(
            queries = restart.listed.len(),
            gone = gone.len(),
            "all queries are listed"
        );
    }

    /// Acts on a Query. `known` is what the database says, where it was asked; else this dispatcher's own knowledge counts.
    pub(crate) async fn applied(&self, query: DynamicObject, known: Option<Known>) {
        let Some(uid) = uid(&query) else { return };
        let tracked = Tracked {
            uid,
            namespace: query.metadata.namespace.clone().unwrap_or_default(),
            name: query.metadata.name.clone().unwrap_or_default(),
        };
        let query = object(query);
        let seen = Seen::of(&query);
        let own = self.open.known(uid);
        let actions = decide(seen, own.or(known));
        self.metrics.decided(&actions);
        if own.is_none() && !actions.contains(&Action::Close) {
            match known {
                Some(Known::Enqueued { cancel, ttl }) => {
                    self.open.enqueued(tracked.clone(), cancel, ttl)
                }
                Some(Known::Ended) => self.open.enqueued(tracked.clone(), true, seen.ttl),
                Some(Known::Planning) | None => {}
            }
        }
        self.intents.pass_on(uid, &actions);
        self.open.passed_on(uid, &actions);
        if actions.contains(&Action::Forget) {
            self.open.gone(uid);
        } else if actions.contains(&Action::Close) {
            self.open.close(uid);
        }
        if actions.contains(&Action::Plan) && self.open.plan(tracked, Arc::new(query)) {
            // The receiver ends only together with the whole dispatcher.
            let _ = self.plans.send(uid).await;
        }
    }

    fn deleted(&self, query: &DynamicObject) {
        if let Some(uid) = uid(query) {
            self.forget(uid);
        }
    }

    /// Lets go of everything about a Query whose object is gone.
    pub(crate) fn forget(&self, uid: Uuid) {
        self.open.gone(uid);
        self.intents.send(uid, Intent::Forget);
    }
}

fn execution(row: LiveExecution) -> Execution {
    match row.ended {
        Some(_) => Execution::Ended,
        None => Execution::Open {
            namespace: row.namespace,
            name: row.name,
        },
    }
}

/// The Query's uid; objects without one are no objects of a Kubernetes server.
pub(crate) fn uid(query: &DynamicObject) -> Option<Uuid> {
    Uuid::parse_str(query.metadata.uid.as_deref()?).ok()
}

// Of the status only the phase is kept: the messages of a finished Query can be large.
fn object(query: DynamicObject) -> Value {
    let mut query = serde_json::to_value(query).expect("an object is plain data");
    query["status"] = serde_json::json!({"phase": query["status"]["phase"].take()});
    if let Some(metadata) = query["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    query
}
