//! PUT and PATCH: a new state made from the current one, again if somebody was faster.

use ark_store::{Change, Written};
use serde_json::Value;

use crate::admit::decode;
use crate::admit::{self, Part};
use crate::front::options::{FieldValidation, WriteOptions};
use crate::front::reply::Reply;
use crate::front::request::Request;
use crate::front::route::Target;
use crate::object::{self, Halves, Object};
use crate::server::{Current, Server};
use crate::status::{FieldError, Result, Status};
use crate::trace;
use crate::verbs::create::with_version;
use crate::verbs::patch::Patch;

/// How often a patch without a version is tried on a newer state.
const ATTEMPTS: usize = 30;

/// Replaces an object, or its status.
pub(crate) async fn put(
    server: &Server,
    request: &Request,
    target: &Target,
    part: Part,
) -> Result<Reply> {
    let options = WriteOptions::parse(&request.query, "UpdateOptions")?;
    let (mut value, duplicates) = decode::body(target.resource, request)?;
    let findings = decode::prune(target.resource, &mut value, duplicates)?;
    let object = decode::check_identity(target, value)?;
    let warnings = decode::judge(target.resource, options.field_validation, findings)?;
    let unconditional = ["", "0"].contains(&object::meta(&object, "resourceVersion"));
    if unconditional && target.resource.ark().is_some() {
        let detail = "must be specified for an update";
        let cause = FieldError::invalid("metadata.resourceVersion", &0.into(), detail);
        let resource = target.resource;
        let causes = [cause];
        // The reference server checks that the object is there before it looks at the version.
        server.current(target).await?;
        return Err(Status::invalid(
            &resource.group,
            &resource.plural,
            &target.name,
            &causes,
        ));
    }
    let next = Next::Object(object);
    change(
        server,
        request,
        target,
        part,
        options.dry_run,
        next,
        warnings,
    )
    .await
}

/// Changes an object, or its status, by a JSON patch or a merge patch.
pub(crate) async fn patch(
    server: &Server,
    request: &Request,
    target: &Target,
    part: Part,
) -> Result<Reply> {
    let patch = Patch::parse(target.resource, &request.headers, &request.body)?;
    let options = WriteOptions::parse(&request.query, "PatchOptions")?;
    let next = Next::Patch {
        patch,
        validation: options.field_validation,
    };
    change(
        server,
        request,
        target,
        part,
        options.dry_run,
        next,
        Vec::new(),
    )
    .await
}

/// How the new state comes from the current one.
enum Next {
    Object(Object),
    Patch {
        patch: Patch,
        validation: FieldValidation,
    },
}

impl Next {
    fn of(&self, target: &Target, current: &Object, warnings: &mut Vec<String>) -> Result<Object> {
        match self {
            Self::Object(object) => {
                check_uid(target, current, object)?;
                Ok(object.clone())
            }
            Self::Patch { patch, validation } => {
                let patched = patch.apply(Value::Object(current.clone()))?;
                let mut value = patched.clone();
                let findings =
                    decode::prune(target.resource, &mut value, patch.duplicates.clone())?;
                *warnings = decode::judge_patch(*validation, findings, &patched)?;
                decode::check_patched(target, &patched)?;
                decode::check_identity(target, value)
            }
        }
    }
}

async fn change(
    server: &Server,
    request: &Request,
    target: &Target,
    part: Part,
    dry_run: bool,
    next: Next,
    mut warnings: Vec<String>,
) -> Result<Reply> {
    let renderer = request.renderer(target.resource)?;
    for _ in 0..ATTEMPTS {
        let current = server.current(target).await?;
        trace::join(request, current.uid);
        let new = next.of(target, &current.object, &mut warnings)?;
        check_version(target, &current, &new)?;
        let mut admitted_warnings = Vec::new();
        let new = admit::update(
            server,
            target,
            part,
            &current.object,
            new,
            &mut admitted_warnings,
        )
        .await?;
        let done = if is_unchanged(&current.object, &new) {
            Some(object::encode(&current.object))
        } else if dry_run {
            Some(object::encode(&new))
        } else {
            store(server, target, &current, new).await?
        };
        if let Some(text) = done {
            warnings.append(&mut admitted_warnings);
            return Reply::ok().with_warnings(warnings).rendered(renderer, text);
        }
    }
    Err(Status::modified(target.resource, &target.name))
}

/// A whole object that names a uid is meant for the object with that uid.
fn check_uid(target: &Target, current: &Object, new: &Object) -> Result<()> {
    let (uid, current) = (object::meta(new, "uid"), object::meta(current, "uid"));
    if uid.is_empty() || uid == current {
        return Ok(());
    }
    let why =
        format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {current}");
    Err(Status::stale(target.resource, &target.name, &why))
}

/// A version that the new state names must be the current one.
fn check_version(target: &Target, current: &Current, new: &Object) -> Result<()> {
    let version = object::meta(new, "resourceVersion");
    if !["", "0"].contains(&version) && version != object::meta(&current.object, "resourceVersion")
    {
        return Err(Status::modified(target.resource, &target.name));
    }
    Ok(())
}

/// Whether storing it would change nothing: then the version stays.
fn is_unchanged(old: &Object, new: &Object) -> bool {
    Halves::of(old) == Halves::of(new)
}

/// The served text of the stored state; None if another write came first.
async fn store(
    server: &Server,
    target: &Target,
    current: &Current,
    new: Object,
) -> Result<Option<String>> {
    let resource_version = current.resource_version;
    // The last finalizer is gone: the object goes, and the answer shows its last state under its old version.
    let ends = object::is_deleting(&new) && !object::has_finalizers(&new);
    let change = if ends && target.resource.deletes_at_once() {
        Change::Delete { resource_version }
    } else {
        Change::Update { resource_version }
    };
    // Watches are told of the state that was stored last.
    let last = match change {
        Change::Delete { .. } => &current.object,
        _ => &new,
    };
    let write = server.write_of(target.resource, last, current.uid, change)?;
    match server.commit(write).await? {
        Written::Committed { .. } if matches!(change, Change::Delete { .. }) => {
            Ok(Some(object::encode(&new)))
        }
        Written::Committed { resource_version } => Ok(Some(with_version(new, resource_version))),
        Written::Conflict | Written::NotFound => Ok(None),
        Written::Busy => Err(Status::unavailable(
            "the object is being written by others; retry",
        )),
        Written::Exists => Err(Status::internal("an update ended as Exists")),
    }
}
