//! The Queries: created with so many requests in flight, and watched to their ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Options;

const NAMESPACE: &str = "default";
/// A watch that shows no end for so long will show none any more.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Queries {
    client: Client,
    count: u32,
    concurrency: usize,
    turns: u8,
}

/// When the create of each Query was answered.
pub(super) struct Created {
    pub(super) began: Instant,
    pub(super) last: Instant,
    pub(super) answered: HashMap<String, Instant>,
    pub(super) took: Vec<Duration>,
}

/// How the Queries ended.
pub(super) struct Ends {
    pub(super) last: Instant,
    pub(super) seen: HashMap<String, Instant>,
    /// Queries whose phase is not done.
    pub(super) failed: u32,
    /// Terminal changes beyond the first of a Query.
    pub(super) repeated: u32,
}

/// A watch under way.
pub(super) struct Watch {
    ends: JoinHandle<anyhow::Result<Ends>>,
}

impl Queries {
    pub(super) fn new(client: Client, options: &Options) -> Self {
        Self {
            client,
            count: options.queries,
            concurrency: options.concurrency.into(),
            turns: options.turns,
        }
    }

    fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource(kind, plural))
    }

    /// Creates the Model, the Tool and the Agent that all Queries use.
    pub(super) async fn prepare(&self) -> anyhow::Result<()> {
        let model = json!({
            "provider": "openai",
            "type": "completions",
            "model": {"value": "drain"},
            "config": {"openai": {
                "baseUrl": {"value": "https://api.example.com/v1"},
                "apiKey": {"value": "none"},
            }},
        });
        let tool = json!({
            "type": "builtin",
            "builtin": {"name": "noop"},
            "description": "Returns what it is given",
            "inputSchema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
        });
        let agent = json!({
            "prompt": "Answer.",
            "modelRef": {"name": "drain"},
            "tools": [{"type": "builtin", "name": "noop"}],
        });
        for (kind, plural, name, spec) in [
            ("Model", "models", "drain", model),
            ("Tool", "tools", "noop", tool),
            ("Agent", "agents", "drain", agent),
        ] {
            create(&self.api(kind, plural), kind, name, spec)
                .await
                .with_context(|| format!("cannot create the {kind}"))?;
        }
        Ok(())
    }

    /// Creates all Queries.
    pub(super) async fn create(&self) -> anyhow::Result<Created> {
        let queries = self.api("Query", "queries");
        let began = Instant::now();
        let answers: Vec<(String, Instant, Duration)> = stream::iter(0..self.count)
            .map(|number| {
                let queries = queries.clone();
                let turns = self.turns;
                async move {
                    let name = format!("drain-{number}");
                    let spec = json!({
                        "input": format!("Drain {number}, turns={turns}"),
                        "target": {"type": "agent", "name": "drain"},
                    });
                    let sent = Instant::now();
                    create(&queries, "Query", &name, spec).await?;
                    anyhow::Ok((name, Instant::now(), sent.elapsed()))
                }
            })
            .buffer_unordered(self.concurrency)
            .try_collect()
            .await
            .context("cannot create a Query")?;
        let last = answers.iter().map(|answer| answer.1).max();
        Ok(Created {
            began,
            last: last.context("no Query was created")?,
            took: answers.iter().map(|answer| answer.2).collect(),
            answered: answers
                .into_iter()
                .map(|(name, at, _)| (name, at))
                .collect(),
        })
    }

    /// Watches all Queries from now on.
    pub(super) async fn watch(&self) -> anyhow::Result<Watch> {
        let queries = self.api("Query", "queries");
        let list = queries.list(&ListParams::default()).await?;
        ensure!(list.items.is_empty(), "there are Queries already");
        let version = list.metadata.resource_version;
        let version = version.context("the list has no version")?;
        Ok(Watch {
            ends: tokio::spawn(follow(queries, version, self.count as usize)),
        })
    }
}

impl Watch {
    /// Waits until every Query has ended.
    pub(super) async fn all_ended(self) -> anyhow::Result<Ends> {
        self.ends.await?
    }
}

async fn follow(
    queries: Api<DynamicObject>,
    mut version: String,
    count: usize,
) -> anyhow::Result<Ends> {
    let mut ends = Ends {
        last: Instant::now(),
        seen: HashMap::with_capacity(count),
        failed: 0,
        repeated: 0,
    };
    loop {
        let mut events = queries
            .watch(&WatchParams::default(), &version)
            .await?
            .boxed();
        loop {
            let event = tokio::time::timeout(PATIENCE, events.next()).await;
            let seen = ends.seen.len();
            let event = event.with_context(|| format!("{seen} of {count} Queries have ended"))?;
            match event {
                None => break,
                Some(Ok(WatchEvent::Added(query) | WatchEvent::Modified(query))) => {
                    version = query
                        .resource_version()
                        .context("an object has no version")?;
                    ends.note(&query);
                }
                Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                    version = bookmark.metadata.resource_version;
                }
                Some(Ok(WatchEvent::Deleted(query))) => bail!("{} was deleted", query.name_any()),
                Some(Ok(WatchEvent::Error(status))) => bail!("the watch failed: {status:?}"),
                Some(Err(error)) => return Err(error).context("the watch broke"),
            }
            if ends.seen.len() == count {
                return Ok(ends);
            }
        }
    }
}

impl Ends {
    fn note(&mut self, query: &DynamicObject) {
        let phase = query.data.pointer("/status/phase").and_then(Value::as_str);
        let failed = match phase {
            Some("done") => false,
            Some("error" | "canceled") => true,
            _ => return,
        };
        let now = Instant::now();
        if self.seen.insert(query.name_any(), now).is_some() {
            self.repeated += 1;
            return;
        }
        self.last = now;
        self.failed += u32::from(failed);
        if failed && self.failed == 1 {
            eprintln!("{} failed: {}", query.name_any(), query.data["status"]);
        }
    }
}

async fn create(
    api: &Api<DynamicObject>,
    kind: &str,
    name: &str,
    spec: Value,
) -> anyhow::Result<()> {
    let mut object = DynamicObject::new(name, &resource(kind, "")).within(NAMESPACE);
    object.data = json!({ "spec": spec });
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("ark.mckinsey.com", "v1alpha1", kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}
