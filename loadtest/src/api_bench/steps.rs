//! The steps of the benchmark as plain requests, so that the time of a step is the server's and not a library's.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, Request};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Options;
use super::result::Step;
use crate::measure::{Distribution, rate};

const GROUP: &str = "/apis/ark.mckinsey.com/v1alpha1/namespaces/default";
/// The agent that all Queries name.
const AGENT: &str = "api-bench";

/// A server under measurement.
pub(super) struct Bench {
    pub(super) client: Client,
    objects: u32,
    concurrency: usize,
    lists: u16,
    page: u16,
}

/// What a list says besides its items.
#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    items: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// The name of an object by its number.
pub(super) fn name(number: u32) -> String {
    format!("api-bench-{number:06}")
}

impl Bench {
    pub(super) fn new(client: Client, options: &Options) -> Self {
        Self {
            client,
            objects: options.objects,
            concurrency: options.concurrency.into(),
            lists: options.lists,
            page: options.page,
        }
    }

    /// Makes the agent; refuses a server that has Queries, because lists would not be comparable.
    pub(super) async fn prepare(&self) -> anyhow::Result<()> {
        let (page, _) = self.read_page("limit=1").await?;
        ensure!(
            page.items.is_empty(),
            "there are Queries already in the namespace default"
        );
        let agent = json!({
            "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Agent",
            "metadata": {"name": AGENT, "namespace": "default"}, "spec": {"prompt": "be brief"},
        });
        let path = format!("{GROUP}/agents");
        self.send(Method::POST, &path, Some(&agent))
            .await
            .context("cannot create the agent")?;
        Ok(())
    }

    /// Removes what [`Bench::prepare`] made.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        self.send(Method::DELETE, &format!("{GROUP}/agents/{AGENT}"), None)
            .await?;
        Ok(())
    }

    pub(super) async fn create(&self) -> anyhow::Result<Step> {
        let path = format!("{GROUP}/queries");
        self.each(async |number| {
            let query = json!({
                "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query",
                "metadata": {"name": name(number), "namespace": "default", "labels": {"bench": "api"}},
                "spec": {
                    "input": format!("Question {number}: what does it cost to keep this object, and to tell everybody of it?"),
                    "target": {"type": "agent", "name": AGENT},
                },
            });
            self.send(Method::POST, &path, Some(&query)).await
        })
        .await
        .context("create")
    }

    pub(super) async fn get(&self) -> anyhow::Result<Step> {
        let get = async |number| {
            // A stride that visits every object once, in an order that is not that of the creates.
            let number = (u64::from(number) * 7_919 % u64::from(self.objects)) as u32;
            self.send(Method::GET, &query(number), None).await
        };
        self.each(get).await.context("get")
    }

    /// Gives each object a status.
    pub(super) async fn patch(&self) -> anyhow::Result<Step> {
        self.each(async |number| self.set_phase(number, "running").await)
            .await
            .context("status patch")
    }

    pub(super) async fn set_phase(&self, number: u32, phase: &str) -> anyhow::Result<String> {
        let path = format!("{}/status", query(number));
        self.send(
            Method::PATCH,
            &path,
            Some(&json!({"status": {"phase": phase}})),
        )
        .await
    }

    pub(super) async fn delete(&self) -> anyhow::Result<Step> {
        self.each(async |number| self.send(Method::DELETE, &query(number), None).await)
            .await
            .context("delete")
    }

    /// Lists everything at once, and says how many bytes that is.
    pub(super) async fn list(&self) -> anyhow::Result<(Distribution, usize)> {
        let mut took = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.lists {
            let sent = Instant::now();
            let text = self
                .send(Method::GET, &format!("{GROUP}/queries"), None)
                .await?;
            took.push(sent.elapsed());
            bytes = text.len();
            let page: Page = serde_json::from_str(&text)?;
            self.ensure_all(page.items.len())?;
        }
        Ok((Distribution::of(took), bytes))
    }

    /// Lists everything in pages; the time is that of all pages, without what the client does between them.
    pub(super) async fn paged(&self) -> anyhow::Result<Distribution> {
        let mut took = Vec::new();
        for _ in 0..self.lists {
            let (mut spent, mut items, mut next) = (Duration::ZERO, 0, String::new());
            loop {
                let parameters = format!("limit={}&continue={next}", self.page);
                let (page, time) = self.read_page(&parameters).await?;
                spent += time;
                items += page.items.len();
                if page.metadata.next.is_empty() {
                    break;
                }
                next = escape(&page.metadata.next);
            }
            self.ensure_all(items)?;
            took.push(spent);
        }
        Ok(Distribution::of(took))
    }

    /// The version that a watch can begin at.
    pub(super) async fn version(&self) -> anyhow::Result<String> {
        Ok(self.read_page("limit=1").await?.0.metadata.resource_version)
    }

    fn ensure_all(&self, items: usize) -> anyhow::Result<()> {
        let objects = self.objects as usize;
        ensure!(
            items == objects,
            "a list shows {items} of {objects} objects"
        );
        Ok(())
    }

    async fn read_page(&self, parameters: &str) -> anyhow::Result<(Page, Duration)> {
        let path = format!("{GROUP}/queries?{parameters}");
        let sent = Instant::now();
        let text = self.send(Method::GET, &path, None).await?;
        let took = sent.elapsed();
        Ok((serde_json::from_str(&text)?, took))
    }

    /// Sends one request for each object, so many at once.
    async fn each<F: Future<Output = anyhow::Result<String>>>(
        &self,
        request: impl Fn(u32) -> F,
    ) -> anyhow::Result<Step> {
        let began = Instant::now();
        let timed = |number| {
            let answer = request(number);
            async move {
                let sent = Instant::now();
                answer.await?;
                anyhow::Ok(sent.elapsed())
            }
        };
        let took: Vec<Duration> = stream::iter(0..self.objects)
            .map(timed)
            .buffer_unordered(self.concurrency)
            .try_collect()
            .await?;
        Ok(Step {
            per_second: rate(self.objects.into(), began.elapsed()),
            latency: Distribution::of(took),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<String> {
        let kind = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, kind)
            .body(body.map_or_else(Vec::new, |body| body.to_string().into_bytes()))?;
        Ok(self.client.request_text(request).await?)
    }
}

fn query(number: u32) -> String {
    format!("{GROUP}/queries/{}", name(number))
}

/// The path of a watch that begins at a version.
pub(super) fn watch(version: &str) -> String {
    format!("{GROUP}/queries?watch=1&allowWatchBookmarks=1&resourceVersion={version}")
}

/// A continue token as it may stand in a query.
fn escape(token: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    token.bytes().map(escape).collect()
}
