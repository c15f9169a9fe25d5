//! Follows Queries through the API until each has ended.

use std::collections::HashSet;
use std::pin::Pin;

use anyhow::{Context, bail};
use ark_api::Query;
use futures::{Stream, TryStreamExt};
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// How a Query ended.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// `namespace/name`.
    pub(crate) name: String,
    status: Value,
}

impl Answer {
    /// The answer of a Query that has ended.
    pub(crate) fn of(query: &Query) -> Option<Answer> {
        query.is_terminal().then(|| Answer {
            name: format!(
                "{}/{}",
                query.namespace().unwrap_or_default(),
                query.name_any()
            ),
            status: serde_json::to_value(&query.status).unwrap_or_default(),
        })
    }

    /// Whether the Query was answered.
    pub(crate) fn is_done(&self) -> bool {
        self.status["phase"] == "done"
    }

    /// Prints the answer under a line that says how it came about.
    pub(crate) fn print_text(&self) {
        let status = &self.status;
        let mut facts = vec![status["phase"].as_str().unwrap_or("?").to_owned()];
        facts.extend(status["duration"].as_str().map(str::to_owned));
        facts.extend(
            status["tokenUsage"]["totalTokens"]
                .as_i64()
                .map(|tokens| format!("{tokens} tokens")),
        );
        println!("--- {} ({})", self.name, facts.join(", "));
        let content = status["response"]["content"].as_str().unwrap_or_default();
        let condition = |kind: &str| {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let found = conditions.filter(|condition| condition["type"] == kind);
            found
                .filter_map(|condition| condition["message"].as_str())
                .next_back()
        };
        if let Some(warnings) = condition("Warnings") {
            eprintln!("warning: {}: {warnings}", self.name);
        }
        match condition("Completed") {
            Some(reason) if !self.is_done() => println!("{reason}"),
            _ => println!("{content}"),
        }
        println!();
    }

    /// Prints one line of JSON.
    pub(crate) fn print_json(&self) {
        println!("{}", json!({"query": self.name, "status": self.status}));
    }
}

type Events = Pin<Box<dyn Stream<Item = watcher::Result<Event<Query>>> + Send>>;

/// A watch on all Queries of the server.
pub(crate) struct Follower {
    events: Events,
    waiting: HashSet<String>,
}

impl Follower {
    /// Starts to watch, before anything is applied.
    pub(crate) fn start(client: &Client) -> Self {
        let api: Api<Query> = Api::all(client.clone());
        Self {
            events: Box::pin(kube::runtime::watcher(api, watcher::Config::default())),
            waiting: HashSet::new(),
        }
    }

    /// Waits for the Query with this uid, too.
    pub(crate) fn expect(&mut self, uid: &str) {
        self.waiting.insert(uid.to_owned());
    }

    /// Whether a Query has not ended yet.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next answer.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Answer> {
        loop {
            let event = self
                .events
                .try_next()
                .await
                .context("cannot watch the queries")?;
            let query = match event {
                Some(Event::Apply(query) | Event::InitApply(query)) => query,
                Some(Event::Delete(query))
                    if self.waiting.contains(&query.uid().unwrap_or_default()) =>
                {
                    bail!("query {} was deleted before it ended", query.name_any())
                }
                Some(_) => continue,
                None => bail!("the watch on the queries ended"),
            };
            if let Some(answer) = Answer::of(&query)
                && self.waiting.remove(&query.uid().unwrap_or_default())
            {
                return Ok(answer);
            }
        }
    }
}
