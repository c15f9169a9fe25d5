//! POST to a collection.

use ark_store::{Change, Write, Written};
use serde_json::Value;
use uuid::Uuid;

use crate::admit;
use crate::admit::decode;
use crate::catalog::Rules;
use crate::front::options::WriteOptions;
use crate::front::reply::Reply;
use crate::front::request::Request;
use crate::front::route::Target;
use crate::object::{self, Object};
use crate::reviews;
use crate::server::Server;
use crate::status::{Result, Status};
use crate::trace;

/// How often a generated name is drawn again when it is taken.
const NAME_ATTEMPTS: usize = 8;

/// Creates the object in the body: 201 with the object as it is stored.
pub(crate) async fn create(server: &Server, request: &Request, target: &Target) -> Result<Reply> {
    let resource = target.resource;
    let options = WriteOptions::parse(&request.query, "CreateOptions")?;
    let renderer = request.renderer(resource)?;
    let (mut value, duplicates) = decode::body(resource, request)?;
    let findings = decode::prune(resource, &mut value, duplicates)?;
    let mut object = decode::check_identity(target, value)?;
    let mut warnings = decode::judge(resource, options.field_validation, findings)?;
    if resource.is_review() {
        let review = reviews::answer(resource, object, &request.user);
        return Reply::created().rendered(renderer, object::encode(&review));
    }
    if resource.namespaced {
        server.namespaces.require(&server.store, target).await?;
    }
    if matches!(resource.rules, Rules::Namespace) {
        object.remove("status");
    }
    let generated = object::meta(&object, "name").is_empty();
    let uid = Uuid::new_v4();
    trace::join(request, uid);
    for attempt in 1.. {
        let admitted = admit::create(server, target, object.clone(), uid, &mut warnings).await?;
        let name = object::meta(&admitted, "name").to_owned();
        if options.dry_run {
            return dry_run(server, target, &admitted, &name)
                .await?
                .with_warnings(warnings)
                .rendered(renderer, object::encode(&admitted));
        }
        match commit_new(server, target, &admitted, uid).await? {
            Some(text) => {
                return Reply::created()
                    .with_warnings(warnings)
                    .rendered(renderer, text);
            }
            None if generated && attempt < NAME_ATTEMPTS => {}
            None => return Err(Status::already_exists(resource, &name)),
        }
    }
    unreachable!("the loop ends by returning")
}

async fn dry_run(server: &Server, target: &Target, object: &Object, name: &str) -> Result<Reply> {
    let key = server.key(target.resource, object::meta(object, "namespace"), name);
    if server.store.get(&key).await?.is_some() {
        return Err(Status::already_exists(target.resource, name));
    }
    Ok(Reply::created())
}

/// The served text of the new object; None if its name is taken.
async fn commit_new(
    server: &Server,
    target: &Target,
    object: &Object,
    uid: Uuid,
) -> Result<Option<String>> {
    let write = new_write(server, target, object, uid)?;
    match server.commit(write).await? {
        Written::Committed { resource_version } => {
            Ok(Some(with_version(object.clone(), resource_version)))
        }
        Written::Exists => Ok(None),
        Written::Busy => Err(Status::unavailable(
            "the object is being written by others; retry",
        )),
        other => Err(Status::internal(format!("a create ended as {other:?}"))),
    }
}

fn new_write(server: &Server, target: &Target, object: &Object, uid: Uuid) -> Result<Write> {
    server.write_of(target.resource, object, uid, Change::Create)
}

/// The served text of an object under its new version.
pub(crate) fn with_version(mut object: Object, version: i64) -> String {
    let version = Value::from(version.to_string());
    object::metadata_mut(&mut object).insert("resourceVersion".into(), version);
    object::encode(&object)
}
