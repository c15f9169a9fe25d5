//! GET of an object and of a collection.

use std::borrow::Cow;
use std::time::Duration;

use ark_store::{ListQuery, Page, Stored};
use serde_json::Value;
use tokio::time::Instant;

use crate::front::options::{ListOptions, resource_version};
use crate::front::page_token::Continue;
use crate::front::reply::Reply;
use crate::front::request::Request;
use crate::front::route::Target;
use crate::object::Labels;
use crate::render::list_metadata;
use crate::selector::Selection;
use crate::server::Server;
use crate::status::{Result, Status};
use crate::storage::form::Form;

/// How long a read waits for a version that this server has not seen yet.
const PATIENCE: Duration = Duration::from_secs(3);
/// Objects read at a time when a selector decides which of them count.
const PAGE: i64 = 500;

/// Answers one object.
pub(crate) async fn get(server: &Server, request: &Request, target: &Target) -> Result<Reply> {
    let renderer = request.renderer(target.resource)?;
    if let Some(version) = resource_version(&request.query)? {
        wait_for_version(server, version).await?;
    }
    let key = server.key(target.resource, &target.namespace, &target.name);
    let Some(stored) = server.store.get(&key).await? else {
        return Err(Status::not_found(target.resource, &target.name));
    };
    let form = server.form(target.resource);
    let text = form.text(&stored.namespace, &stored.name, &stored.object)?;
    Ok(Reply::object(200, renderer.single(text)?))
}

/// Answers a list, whole or a page of it.
pub(crate) async fn list(server: &Server, request: &Request, target: &Target) -> Result<Reply> {
    let renderer = request.renderer(target.resource)?;
    let options = ListOptions::parse(&request.query, false)?;
    options.fields.check(target.resource)?;
    if let Some(version) = options.version {
        wait_for_version(server, version).await?;
    }
    let has_selector = options.has_selector();
    let found = collect(server, target, options).await?;
    let form = server.form(target.resource);
    let texts = found.items.iter().map(|item| served(&form, item));
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let remaining = (found.next.is_some() && !has_selector).then_some(found.remaining);
    let next = found.next.map(|next| next.encode());
    let metadata: Value = list_metadata(found.version, next, remaining);
    Ok(Reply::object(200, renderer.list(&texts, metadata)?))
}

fn served<'t>(form: &Form<'_>, item: &'t Stored) -> Result<Cow<'t, str>> {
    form.text(&item.namespace, &item.name, &item.object)
}

/// The selected objects of a list or page.
struct Collected {
    version: i64,
    items: Vec<Stored>,
    next: Option<Continue>,
    remaining: i64,
}

async fn collect(server: &Server, target: &Target, options: ListOptions) -> Result<Collected> {
    let resource = target.resource;
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let exact = options.version.filter(|_| options.exact);
    let mut query = ListQuery {
        group: resource.stored_group().to_owned(),
        kind: resource.kind.clone(),
        namespace: optional(&target.namespace),
        name: options.fields.name().map(str::to_owned),
        at: exact.or_else(|| options.continue_from.as_ref().and_then(|c| c.version)),
        after: options.continue_from.as_ref().map(|c| c.after.clone()),
        limit: options.limit,
    };
    let selects = options.has_selector();
    let limit = options.limit.and_then(|limit| usize::try_from(limit).ok());
    if selects && limit.is_some() {
        query.limit = Some(PAGE);
    }
    let selection = Selection {
        resource,
        labels: options.labels,
        fields: options.fields,
    };
    let mut items = Vec::new();
    loop {
        let page = page(server, &query).await?;
        let version = page.resource_version;
        query.at = Some(version);
        let (more, remaining) = (page.more, page.remaining);
        let mut read = page.items.into_iter();
        let mut last = None;
        while limit.is_none_or(|limit| items.len() < limit)
            && let Some(item) = read.next()
        {
            last = Some((item.namespace.clone(), item.name.clone()));
            if is_selected(&selection, &item) {
                items.push(item);
            }
        }
        let full = limit.is_some_and(|limit| items.len() >= limit);
        let rest = more || read.len() > 0;
        if full || !rest {
            let next = last.filter(|_| rest).map(|after| Continue {
                version: Some(version),
                after,
            });
            return Ok(Collected {
                version,
                items,
                next,
                remaining,
            });
        }
        query.after = last;
    }
}

fn is_selected(selection: &Selection, item: &Stored) -> bool {
    let labels = || Cow::Owned(Labels::read(&item.object));
    selection.matches(&item.namespace, &item.name, &item.object, labels)
}

async fn page(server: &Server, query: &ListQuery) -> Result<Page> {
    match server.store.list(query).await {
        Err(ark_store::Error::Compacted { asked, compacted }) => {
            Err(expired(query, asked, compacted))
        }
        other => Ok(other?),
    }
}

/// A version that is no longer held; who was paging is offered the rest as it is now.
fn expired(query: &ListQuery, asked: i64, compacted: i64) -> Box<Status> {
    let Some(after) = query.after.clone() else {
        return Status::expired(format!("too old resource version: {asked} ({compacted})"));
    };
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    let token = Continue {
        version: None,
        after,
    };
    status.continue_token = Some(token.encode());
    status
}

/// Waits until `version` has been reached: 0 is always, what does not come in time is 504.
async fn wait_for_version(server: &Server, version: i64) -> Result<()> {
    if server.seen.has(version) {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let head = server.store.revisions().await?.head;
        server.seen.note(head);
        if head >= version {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Status::version_too_large(version, head));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
