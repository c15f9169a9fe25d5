//! Many watches at once: how long a change takes to reach each of them, and whether each shows all.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::StreamExt;
use http::Request;
use kube::core::WatchEvent;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout_at};

use super::Options;
use super::result::Watched;
use super::steps::{self, Bench};
use crate::measure::Distribution;

/// How long after the last change a watch may take to show all of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is read of an object: the client should take as little time as it can.
#[derive(Clone, Debug, Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
}

/// When each change was sent, by the number of its object.
type Sent = Arc<Vec<OnceLock<Instant>>>;

/// Opens the watches, makes the changes at their rate, and waits until every watch has shown them.
pub(super) async fn measure(bench: &Arc<Bench>, options: &Options) -> anyhow::Result<Watched> {
    let events = options.events as usize;
    let sent: Sent = Arc::new((0..events).map(|_| OnceLock::new()).collect());
    let every = Duration::from_secs(1) / u32::from(options.event_rate);
    let opening = Instant::now();
    let version = bench.version().await?;
    let mut opened = JoinSet::new();
    for _ in 0..options.watchers {
        let (bench, version) = (bench.clone(), version.clone());
        opened.spawn(async move {
            let request = Request::get(steps::watch(&version)).body(Vec::new())?;
            let events = bench.client.request_events::<Named>(request).await;
            anyhow::Ok(events.context("cannot open a watch")?.boxed())
        });
    }
    let opened = opened.join_all().await;
    let opened: Vec<_> = opened.into_iter().collect::<anyhow::Result<_>>()?;
    let opened_in = opening.elapsed();
    let begin = tokio::time::Instant::now();
    let deadline = begin + every * options.events + PATIENCE;
    let mut watches = JoinSet::new();
    for mut stream in opened {
        let sent = sent.clone();
        watches.spawn(async move {
            let mut took = Vec::with_capacity(sent.len());
            while took.len() < sent.len() {
                let Ok(Some(event)) = timeout_at(deadline, stream.next()).await else {
                    break;
                };
                let now = Instant::now();
                match event? {
                    WatchEvent::Modified(object) => {
                        took.extend(delay(&object, &sent, now));
                    }
                    WatchEvent::Error(status) => bail!("the watch failed: {}", status.message),
                    _ => {}
                }
            }
            Ok(took)
        });
    }
    for number in 0..options.events {
        sleep_until(begin + every * number).await;
        sent[number as usize].get_or_init(Instant::now);
        bench.set_phase(number, "done").await?;
    }
    let mut took = Vec::new();
    for shown in watches.join_all().await {
        took.extend(shown?);
    }
    Ok(Watched {
        watchers: options.watchers,
        events: options.events,
        opened_in_ms: opened_in.as_secs_f64() * 1e3,
        missed: usize::from(options.watchers) * events - took.len(),
        delivery: Distribution::of(took),
    })
}

/// How long ago the change of this object was sent.
fn delay(object: &Named, sent: &Sent, now: Instant) -> Option<Duration> {
    let (_, number) = object.metadata.name.rsplit_once('-')?;
    let sent = sent.get(number.parse::<usize>().ok()?)?.get()?;
    Some(now.saturating_duration_since(*sent))
}
