//! Namespaces: those that there always are, the rule that objects need one, and the end of one that is empty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ark_store::{Change, ListQuery, Store, Written};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::admit;
use crate::catalog::{self, Resource, Rules};
use crate::front::route::Target;
use crate::object;
use crate::server::Server;
use crate::status::{FieldError, Result, Status};
use crate::verbs::delete;

const ALWAYS: [&str; 3] = ["default", "kube-system", "ark-system"];
/// How long a look-up that found a namespace is believed; a deletion waits longer before its last look.
const BELIEVED: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const PAGE: i64 = 500;

/// Namespaces that were there a moment ago.
#[derive(Default)]
pub(crate) struct Namespaces(Mutex<HashMap<String, Instant>>);

impl Namespaces {
    /// Refuses a create in a namespace that is not there (404) or is being deleted (403).
    pub(crate) async fn require(&self, store: &Store, target: &Target) -> Result<()> {
        let name = target.namespace.as_str();
        if self.is_known(name) {
            return Ok(());
        }
        let namespaces = catalog::namespaces();
        let key = ark_store::Key {
            group: String::new(),
            kind: namespaces.kind.clone(),
            namespace: String::new(),
            name: name.to_owned(),
        };
        let Some(stored) = store.get(&key).await? else {
            return Err(Status::not_found(namespaces, name));
        };
        if object::is_deleting(&object::parse(&stored.object)?) {
            return Err(terminating(target));
        }
        self.lock().insert(name.to_owned(), Instant::now());
        Ok(())
    }

    fn is_known(&self, name: &str) -> bool {
        let mut known = self.lock();
        known.retain(|_, seen| seen.elapsed() < BELIEVED);
        known.contains_key(name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn terminating(target: &Target) -> Box<Status> {
    let namespace = &target.namespace;
    let message = format!(
        "{} is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
        target.resource.qualified()
    );
    let mut status = Status::new(403, "Forbidden", message);
    let cause = FieldError::forbidden("metadata.namespace", "it is being terminated");
    status.details = Some(json!({
        "group": target.resource.group, "kind": target.resource.plural,
        "causes": [{"reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"), "field": cause.field}],
    }));
    status
}

/// Refuses to delete a namespace that the system needs.
pub(crate) fn check_deletable(target: &Target) -> Result<()> {
    let is_namespace = !target.resource.deletes_at_once();
    if is_namespace && ALWAYS.contains(&target.name.as_str()) {
        let message = format!(
            "namespaces {:?} is forbidden: this namespace may not be deleted",
            target.name
        );
        return Err(Status::new(403, "Forbidden", message));
    }
    Ok(())
}

/// Refuses to delete a namespace that holds anything: 409 names what is left in it.
///
/// Events do not count. They go with the namespace, as does what is created in it at the last moment.
pub(crate) async fn require_empty(server: &Server, target: &Target) -> Result<()> {
    let mut left = Vec::new();
    for resource in contents().filter(|r| !matches!(r.rules, Rules::Event)) {
        let query = content_query(resource, &target.name, 1);
        let page = server.store.list(&query).await?;
        let count = page.remaining + i64::from(!page.items.is_empty());
        if count > 0 {
            left.push(format!("{count} {}", resource.qualified()));
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let why = format!(
        "it is not empty, and this server does not empty namespaces: delete what is left in it first ({})",
        left.join(", ")
    );
    Err(Status::stale(target.resource, &target.name, &why))
}

/// The resources whose objects are stored in namespaces, each once.
fn contents() -> impl Iterator<Item = &'static Resource> {
    let namespaced = |r: &&Resource| r.namespaced && r.stored_group() == r.group;
    catalog::resources().iter().filter(namespaced)
}

fn content_query(resource: &Resource, namespace: &str, limit: i64) -> ListQuery {
    ListQuery {
        group: resource.group.clone(),
        kind: resource.kind.clone(),
        namespace: Some(namespace.to_owned()),
        limit: Some(limit),
        ..ListQuery::default()
    }
}

/// Makes the namespaces that are always there.
pub(crate) async fn create_defaults(server: &Server) -> Result<()> {
    for name in ALWAYS {
        let target = target(name);
        let key = server.key(target.resource, "", name);
        if server.store.get(&key).await?.is_some() {
            continue;
        }
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let object = object.as_object().cloned().unwrap_or_default();
        let uid = Uuid::new_v4();
        let object = admit::create(server, &target, object, uid, &mut Vec::new()).await?;
        let write = server.write_of(target.resource, &object, uid, Change::Create)?;
        match server.commit(write).await? {
            // Another replica may have been faster.
            Written::Committed { .. } | Written::Exists => {}
            other => return Err(Status::internal(format!("namespace {name}: {other:?}"))),
        }
    }
    Ok(())
}

fn target(name: &str) -> Target {
    Target {
        resource: catalog::namespaces(),
        namespace: String::new(),
        name: name.to_owned(),
        subresource: String::new(),
    }
}

/// Removes namespaces that are being deleted, with what came into them at the last moment, until `shutdown`.
pub(crate) async fn sweep(server: Arc<Server>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        if let Err(status) = sweep_once(&server).await {
            tracing::debug!(error = ?status.internal, "namespaces are not swept now: {}", status.message);
        }
    }
}

async fn sweep_once(server: &Server) -> Result<()> {
    let query = ListQuery {
        kind: catalog::namespaces().kind.clone(),
        ..ListQuery::default()
    };
    for stored in server.store.list(&query).await?.items {
        let object = object::parse(&stored.object)?;
        if !object::is_deleting(&object) || object::has_finalizers(&object) {
            continue;
        }
        let settled =
            chrono::DateTime::parse_from_rfc3339(object::meta(&object, "deletionTimestamp"))
                .is_ok_and(|since| {
                    let age = chrono::Utc::now().signed_duration_since(since);
                    age.to_std().is_ok_and(|age| age > 2 * BELIEVED)
                });
        if empty(server, &stored.name).await? && settled {
            let resource_version = stored.resource_version;
            let change = Change::Delete { resource_version };
            let write = server.write_of(catalog::namespaces(), &object, stored.uid, change)?;
            // A conflict means that somebody changed it: the next sweep looks again.
            server.commit(write).await?;
        }
    }
    Ok(())
}

/// Deletes what is in the namespace; true when nothing was there.
async fn empty(server: &Server, namespace: &str) -> Result<bool> {
    let mut nothing = true;
    for resource in contents() {
        let query = content_query(resource, namespace, PAGE);
        for stored in server.store.list(&query).await?.items {
            nothing = false;
            let target = Target {
                resource,
                namespace: namespace.to_owned(),
                name: stored.name.clone(),
                subresource: String::new(),
            };
            let current = server.decode(resource, stored)?;
            delete::remove(server, &target, &current).await?;
        }
    }
    Ok(nothing)
}
