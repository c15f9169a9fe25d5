//! DELETE of an object: at once, or when its finalizers are gone.

use ark_store::{Change, Written};
use serde_json::Value;

use crate::admit::now;
use crate::front::delete_options::{DeleteOptions, Preconditions};
use crate::front::reply::Reply;
use crate::front::request::Request;
use crate::front::route::Target;
use crate::namespaces;
use crate::object::{self, Object};
use crate::server::{Current, Server};
use crate::status::{Result, Status, deleted};
use crate::trace;
use crate::verbs::create::with_version;

const ATTEMPTS: usize = 30;
const NO_GARBAGE_COLLECTOR: &str =
    "this server has no garbage collector: objects owned by this one are not deleted";

/// Deletes an object, or marks it as being deleted while finalizers hold it.
pub(crate) async fn delete(server: &Server, request: &Request, target: &Target) -> Result<Reply> {
    let options = DeleteOptions::parse(request)?;
    let dry_run = options.is_dry_run()?;
    let renderer = request.renderer(target.resource)?;
    namespaces::check_deletable(target)?;
    let mut warnings = Vec::new();
    if options.propagation_policy.as_deref() == Some("Foreground") {
        warnings.push(NO_GARBAGE_COLLECTOR.to_owned());
    }
    for _ in 0..ATTEMPTS {
        let current = server.current(target).await?;
        trace::join(request, current.uid);
        check_preconditions(target, &current, &options.preconditions)?;
        if !target.resource.deletes_at_once() && !object::is_deleting(&current.object) {
            namespaces::require_empty(server, target).await?;
        }
        let outcome = if dry_run {
            Some(planned(target, &current.object))
        } else {
            remove(server, target, &current).await?
        };
        match outcome {
            Some(Outcome::Gone) => {
                let uid = object::meta(&current.object, "uid");
                let status = deleted(target.resource, &target.name, uid);
                return Ok(Reply::value(200, &status).with_warnings(warnings));
            }
            Some(Outcome::Waits(text)) => {
                return Reply::ok().with_warnings(warnings).rendered(renderer, text);
            }
            None => {}
        }
    }
    Err(Status::modified(target.resource, &target.name))
}

/// What a deletion led to.
pub(crate) enum Outcome {
    Gone,
    /// Finalizers, or a Namespace's content, must go first; the object's text as it is now.
    Waits(String),
}

fn planned(target: &Target, object: &Object) -> Outcome {
    if waits(target, object) {
        Outcome::Waits(object::encode(&marked(target, object)))
    } else {
        Outcome::Gone
    }
}

fn waits(target: &Target, object: &Object) -> bool {
    object::has_finalizers(object) || !target.resource.deletes_at_once()
}

/// Removes the current state; None if another write came first.
pub(crate) async fn remove(
    server: &Server,
    target: &Target,
    current: &Current,
) -> Result<Option<Outcome>> {
    let resource_version = current.resource_version;
    let waits = waits(target, &current.object);
    if waits && object::is_deleting(&current.object) {
        return Ok(Some(Outcome::Waits(object::encode(&current.object))));
    }
    let (object, change) = if waits {
        let change = Change::Update { resource_version };
        (marked(target, &current.object), change)
    } else {
        (current.object.clone(), Change::Delete { resource_version })
    };
    let write = server.write_of(target.resource, &object, current.uid, change)?;
    match server.commit(write).await? {
        Written::Committed { resource_version } if waits => {
            Ok(Some(Outcome::Waits(with_version(object, resource_version))))
        }
        Written::Committed { .. } => Ok(Some(Outcome::Gone)),
        Written::Conflict | Written::NotFound => Ok(None),
        Written::Busy => Err(Status::unavailable(
            "the object is being written by others; retry",
        )),
        Written::Exists => Err(Status::internal("a deletion ended as Exists")),
    }
}

/// The object with the mark of deletion.
fn marked(target: &Target, object: &Object) -> Object {
    let mut marked = object.clone();
    let metadata = object::metadata_mut(&mut marked);
    metadata.insert("deletionTimestamp".into(), now().into());
    metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".into(), (generation + 1).into());
    }
    if !target.resource.deletes_at_once() {
        marked.insert("status".into(), serde_json::json!({"phase": "Terminating"}));
    }
    marked
}

fn check_preconditions(
    target: &Target,
    current: &Current,
    preconditions: &Preconditions,
) -> Result<()> {
    let uid = object::meta(&current.object, "uid");
    let version = object::meta(&current.object, "resourceVersion");
    let given = [
        (&preconditions.uid, uid, "UID"),
        (&preconditions.resource_version, version, "ResourceVersion"),
    ];
    for (wanted, actual, what) in given {
        if let Some(wanted) = wanted
            && wanted != actual
        {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({actual}). \
                 The object might have been {}",
                if what == "UID" {
                    "deleted and then recreated"
                } else {
                    "modified"
                }
            );
            return Err(Status::precondition(target.resource, &target.name, &why));
        }
    }
    Ok(())
}
