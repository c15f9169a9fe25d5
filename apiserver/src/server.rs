//! The state that all requests share, and the few things that every handler does with it.

use std::sync::atomic::{AtomicI64, Ordering};

use ark_api::admission;
use ark_api::json::without_nul;
use ark_store::{Change, Key, Store, Stored, Write, Written};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::catalog::Resource;
use crate::credentials::service_accounts::Tokens;
use crate::discovery::aggregated::Aggregated;
use crate::front::route::Target;
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::object::{self, Object};
use crate::openapi::OpenApi;
use crate::status::{Result, Status};
use crate::storage::commit::Committer;
use crate::storage::follower::Follower;
use crate::storage::form::Form;
use crate::storage::seal::Sealer;

/// Everything behind the handlers.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) follower: Follower,
    pub(crate) sealer: Sealer,
    pub(crate) namespaces: Namespaces,
    pub(crate) seen: Seen,
    pub(crate) openapi: OpenApi,
    pub(crate) discovery: Aggregated,
    pub(crate) admission: admission::Rules,
    pub(crate) token: String,
    pub(crate) service_accounts: Tokens,
    pub(crate) metrics: Metrics,
    pub(crate) reads: Semaphore,
    pub(crate) writes: Semaphore,
    pub(crate) shutdown: CancellationToken,
}

/// An object as it is now.
pub(crate) struct Current {
    /// In the form that the resource serves.
    pub(crate) object: Object,
    pub(crate) uid: Uuid,
    pub(crate) resource_version: i64,
}

impl Server {
    pub(crate) fn key(&self, resource: &Resource, namespace: &str, name: &str) -> Key {
        Key {
            group: resource.stored_group().to_owned(),
            kind: resource.kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn form(&self, resource: &'static Resource) -> Form<'_> {
        Form {
            resource,
            sealer: &self.sealer,
        }
    }

    /// The object that a URL names, or 404.
    pub(crate) async fn current(&self, target: &Target) -> Result<Current> {
        let key = self.key(target.resource, &target.namespace, &target.name);
        let Some(stored) = self.store.get(&key).await? else {
            return Err(Status::not_found(target.resource, &target.name));
        };
        self.decode(target.resource, stored)
    }

    pub(crate) fn decode(&self, resource: &'static Resource, stored: Stored) -> Result<Current> {
        let form = self.form(resource);
        Ok(Current {
            object: form.object(&stored.namespace, &stored.name, &stored.object)?,
            uid: stored.uid,
            resource_version: stored.resource_version,
        })
    }

    /// The write that stores `object`, or for a deletion its last state.
    pub(crate) fn write_of(
        &self,
        resource: &'static Resource,
        object: &Object,
        uid: Uuid,
        change: Change,
    ) -> Result<Write> {
        let halves = self.form(resource).halves(object)?;
        let derived = resource.ark().map(|_| derived_text(object));
        let (namespace, name) = (
            object::meta(object, "namespace"),
            object::meta(object, "name"),
        );
        let version = match resource.stored_group() {
            "" => "v1".to_owned(),
            _ => resource.api_version(),
        };
        Ok(Write {
            key: self.key(resource, namespace, name),
            api_version: version,
            uid,
            change,
            head: halves.head,
            tail: halves.tail,
            derived,
        })
    }

    /// Commits with others; watches of this process look at once.
    pub(crate) async fn commit(&self, write: Write) -> Result<Written> {
        let written = self.committer.commit(write).await?;
        if let Written::Committed { resource_version } = written {
            self.seen.note(resource_version);
            self.follower.nudge();
        }
        Ok(written)
    }
}

/// The object for the columns that people query: Postgres' jsonb knows no U+0000.
fn derived_text(object: &Object) -> String {
    let text = object::encode(object);
    if !text.contains("\\u0000") {
        return text;
    }
    object::encode(&without_nul(&Value::Object(object.clone())))
}

/// The highest version that this process knows to exist.
#[derive(Default)]
pub(crate) struct Seen(AtomicI64);

impl Seen {
    pub(crate) fn has(&self, version: i64) -> bool {
        version <= self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, version: i64) {
        self.0.fetch_max(version, Ordering::Relaxed);
    }
}
