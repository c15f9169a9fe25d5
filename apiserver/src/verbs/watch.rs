//! One watch: the changes of a collection after a version, each once and in order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ark_store::{ListQuery, Op};
use bytes::Bytes;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::front::options::ListOptions;
use crate::front::reply::Reply;
use crate::front::route::Target;
use crate::object::{self, Halves, Labels};
use crate::render::Renderer;
use crate::selector::Selection;
use crate::server::Server;
use crate::status::{Result, Status};
use crate::storage::follower::{Change, Interest, Subscription};
use crate::storage::form::Form;

const PAGE: i64 = 500;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a client may take nothing before its watch ends.
const STALL: Duration = Duration::from_secs(60);
/// Events are gathered into one write up to this size while more are waiting.
const CHUNK: usize = 64 * 1024;

/// Answers a watch: the head at once, then a line per event until the watch ends.
pub(crate) async fn watch(
    server: &Arc<Server>,
    target: &Target,
    options: ListOptions,
    renderer: Renderer,
) -> Result<Reply> {
    let resource = target.resource;
    options.fields.check(resource)?;
    let name = match target.name.as_str() {
        "" => options.fields.name().unwrap_or_default().to_owned(),
        name => name.to_owned(),
    };
    let interest = Interest {
        namespace: target.namespace.clone(),
        name,
    };
    let subscription = server
        .follower
        .subscribe(resource, interest.clone())
        .await?;
    let timeout = options
        .timeout
        .unwrap_or_else(|| Duration::from_secs(rand::rng().random_range(1800..3600)));
    let (lines, body) = mpsc::channel(16);
    let watch = Watch {
        server: Arc::clone(server),
        selection: Selection {
            resource,
            labels: options.labels,
            fields: options.fields,
        },
        renderer,
        interest,
        bookmarks: options.bookmarks,
        deadline: Instant::now() + timeout,
        sent: options.version.unwrap_or(0),
        first: true,
        chunk: Vec::new(),
        lines,
    };
    tokio::spawn(watch.run(subscription));
    Ok(Reply::stream(renderer.stream_type(), body))
}

/// Why a watch stops; nothing is sent for the last two.
enum End {
    Failed(Box<Status>),
    ClientLeft,
    Over,
}

impl From<Box<Status>> for End {
    fn from(status: Box<Status>) -> Self {
        Self::Failed(status)
    }
}

impl From<ark_store::Error> for End {
    fn from(error: ark_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

struct Watch {
    server: Arc<Server>,
    selection: Selection,
    renderer: Renderer,
    interest: Interest,
    bookmarks: bool,
    deadline: Instant,
    /// Everything up to this version has been dealt with.
    sent: i64,
    first: bool,
    chunk: Vec<u8>,
    lines: mpsc::Sender<Bytes>,
}

impl Watch {
    async fn run(mut self, mut subscription: Subscription) {
        let end = self.follow(&mut subscription).await.err();
        if let Some(End::Failed(status)) = end {
            if let Some(internal) = &status.internal {
                tracing::warn!(kind = %self.selection.resource.kind, error = %internal, "a watch ended");
            }
            self.chunk.append(&mut self.renderer.error(&status));
        }
        // The client may be gone; its next watch begins where this one ended.
        let _ = self.flush().await;
    }

    async fn follow(&mut self, subscription: &mut Subscription) -> Result<(), End> {
        if self.sent == 0 {
            self.send_current().await?;
        } else {
            self.send_backlog(subscription.joined_at).await?;
        }
        self.flush().await?;
        let mut bookmark =
            tokio::time::interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
        let shutdown = self.server.shutdown.clone();
        let lines = self.lines.clone();
        loop {
            tokio::select! {
                change = subscription.changes.recv() => match change {
                    Some(change) => self.send(&change)?,
                    None => return Err(End::Over),
                },
                _ = bookmark.tick(), if self.bookmarks => self.send_bookmark(subscription)?,
                () = tokio::time::sleep_until(self.deadline) => {
                    if self.bookmarks {
                        self.send_bookmark(subscription)?;
                    }
                    return Err(End::Over);
                }
                () = lines.closed() => return Err(End::ClientLeft),
                () = shutdown.cancelled() => return Err(End::Over),
            }
            while self.chunk.len() < CHUNK
                && let Ok(change) = subscription.changes.try_recv()
            {
                self.send(&change)?;
            }
            self.flush().await?;
        }
    }

    /// The current state as ADDED events, for a watch without a version.
    async fn send_current(&mut self) -> Result<(), End> {
        let resource = self.selection.resource;
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut query = ListQuery {
            group: resource.stored_group().to_owned(),
            kind: resource.kind.clone(),
            namespace: optional(&self.interest.namespace),
            name: optional(&self.interest.name),
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        loop {
            let page = self.server.store.list(&query).await?;
            for item in &page.items {
                let labels = || Cow::Owned(Labels::read(&item.object));
                if self
                    .selection
                    .matches(&item.namespace, &item.name, &item.object, labels)
                {
                    self.push("ADDED", &item.namespace, &item.name, &item.object)?;
                }
            }
            self.flush().await?;
            self.sent = page.resource_version;
            query.at = Some(page.resource_version);
            match page.items.last() {
                Some(last) if page.more => {
                    query.after = Some((last.namespace.clone(), last.name.clone()));
                }
                _ => return Ok(()),
            }
        }
    }

    /// What happened between the version asked for and the moment of joining the follower.
    async fn send_backlog(&mut self, joined_at: i64) -> Result<(), End> {
        let resource = self.selection.resource;
        let kind = (resource.stored_group(), resource.kind.as_str());
        let mut at = self.sent;
        // At least one look, which also finds out whether the version is still held.
        loop {
            let changes = match self.server.store.changes(Some(kind), at, PAGE).await {
                Err(ark_store::Error::Compacted { asked, compacted }) => {
                    let message = format!("too old resource version: {asked} ({compacted})");
                    return Err(Status::expired(message).into());
                }
                other => other?,
            };
            at = changes.head;
            for event in changes.events {
                if event.resource_version > joined_at {
                    return Ok(());
                }
                if self.interest.covers(&event) {
                    self.send(&Change::new(event))?;
                    if self.chunk.len() >= CHUNK {
                        self.flush().await?;
                    }
                }
            }
            if at >= joined_at {
                return Ok(());
            }
        }
    }

    fn send(&mut self, change: &Arc<Change>) -> Result<(), End> {
        let event = &change.event;
        if event.resource_version <= self.sent {
            return Ok(());
        }
        let (namespace, name) = (event.key.namespace.as_str(), event.key.name.as_str());
        let selected = |text: &str, labels: fn(&Change) -> &BTreeMap<String, String>| {
            self.selection
                .matches(namespace, name, text, || Cow::Borrowed(labels(change)))
        };
        let was = event.op != Op::Added
            && event
                .before
                .as_deref()
                .is_some_and(|before| selected(before, Change::labels_before));
        let is = event.op != Op::Deleted && selected(&event.after, Change::labels_after);
        match (was, is, &event.before) {
            (true, true, _) => self.push("MODIFIED", namespace, name, &event.after)?,
            (false, true, _) => self.push("ADDED", namespace, name, &event.after)?,
            (true, false, _) if event.op == Op::Deleted => {
                self.push("DELETED", namespace, name, &event.after)?;
            }
            // It left the selection: its last state inside, under the version at which it left.
            (true, false, Some(before)) => {
                let left = Halves::of(&object::parse(before)?).with_version(event.resource_version);
                self.push("DELETED", namespace, name, &left)?;
            }
            _ => {}
        }
        self.sent = event.resource_version;
        Ok(())
    }

    fn push(&mut self, type_: &str, namespace: &str, name: &str, stored: &str) -> Result<(), End> {
        let form = Form {
            resource: self.selection.resource,
            sealer: &self.server.sealer,
        };
        let text = form.text(namespace, name, stored)?;
        let mut event = self.renderer.event(type_, text, self.first)?;
        self.chunk.append(&mut event);
        self.first = false;
        self.server.metrics.watch_events.inc();
        Ok(())
    }

    /// A bookmark is never ahead of what was sent: everything up to the position is taken out of the queue first.
    fn send_bookmark(&mut self, subscription: &mut Subscription) -> Result<(), End> {
        let Some(position) = subscription.position() else {
            return Ok(());
        };
        while let Ok(change) = subscription.changes.try_recv() {
            self.send(&change)?;
        }
        self.sent = self.sent.max(position);
        let mut bookmark = self.renderer.bookmark(self.sent, self.first);
        self.chunk.append(&mut bookmark);
        self.first = false;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let sent = tokio::time::timeout(STALL, self.lines.send(chunk)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::ClientLeft),
            Err(_) => Err(End::Over),
        }
    }
}
