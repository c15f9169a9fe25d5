//! What happens to an object between decoding and storing: defaults, metadata, validation.

mod core_kinds;
pub(crate) mod decode;
mod lookup;
mod metadata;

use ark_api::admission::{self, Found};
use ark_api::structural;
use chrono::{SecondsFormat, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::catalog::{Resource, Rules};
use crate::front::route::Target;
use crate::object::{self, Object};
use crate::server::Server;
use crate::status::{Result, Status};

/// Which part of an object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Main,
    Status,
}

/// Completes and checks a new object. Its uid is `uid`.
pub(crate) async fn create(
    server: &Server,
    target: &Target,
    mut object: Object,
    uid: Uuid,
    warnings: &mut Vec<String>,
) -> Result<Object> {
    let resource = target.resource;
    if !object::meta(&object, "resourceVersion").is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Status::new(500, "", message));
    }
    if resource.has_status() {
        object.remove("status");
    }
    let metadata = object::metadata_mut(&mut object);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), uid.to_string().into());
    metadata.insert("creationTimestamp".into(), now().into());
    metadata.remove("generation");
    if resource.ark().is_some() {
        metadata.insert("generation".into(), 1.into());
    }
    metadata::generate_name(metadata);
    warnings.extend(metadata::drop_repeated_owners(&mut object));
    let found = complete(server, resource, Part::Main, &mut object).await?;
    check(server, resource, None, object, &found, warnings)
}

/// Completes and checks the new state of `old`.
pub(crate) async fn update(
    server: &Server,
    target: &Target,
    part: Part,
    old: &Object,
    mut new: Object,
    warnings: &mut Vec<String>,
) -> Result<Object> {
    let resource = target.resource;
    match part {
        Part::Status => {
            let status = new.remove("status");
            new = old.clone();
            new.remove("status");
            new.extend(status.map(|status| ("status".to_owned(), status)));
        }
        Part::Main if resource.has_status() => {
            new.remove("status");
            new.extend(
                old.get("status")
                    .map(|status| ("status".to_owned(), status.clone())),
            );
        }
        Part::Main => {}
    }
    metadata::keep_what_the_server_sets(old, &mut new);
    warnings.extend(metadata::drop_repeated_owners(&mut new));
    let found = complete(server, resource, part, &mut new).await?;
    if part == Part::Main && resource.ark().is_some() {
        let generation = next_generation(old, &new);
        object::metadata_mut(&mut new).insert("generation".into(), generation.into());
    }
    check(server, resource, Some((old, part)), new, &found, warnings)
}

/// Seconds precision, as Kubernetes writes times in metadata.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// One more whenever anything but metadata and status has changed.
fn next_generation(old: &Object, new: &Object) -> i64 {
    let current = object::metadata(old)
        .get("generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let rest = |object: &Object| -> Object {
        let keep = |key: &str| key != "metadata" && key != "status";
        let kept = object.iter().filter(|(key, _)| keep(key));
        kept.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    current + i64::from(rest(old) != rest(new))
}

/// Defaults: the schema's, then Ark's, or those of a core kind. Returns what the object refers to.
///
/// A write of the status leaves the rest as it is, so that Ark's rules, which look at the rest, do not run.
async fn complete(
    server: &Server,
    resource: &Resource,
    part: Part,
    object: &mut Object,
) -> Result<Found> {
    let mut found = Found::new();
    match resource.rules {
        Rules::Ark(kind) => {
            let mut value = Value::Object(std::mem::take(object));
            structural::apply_defaults(kind.schema(), &mut value);
            if part == Part::Main {
                found = lookup::references(server, kind.kind, &value).await?;
                admission::default(kind.kind, &mut value, &found);
            }
            if let Value::Object(completed) = value {
                *object = completed;
            }
        }
        Rules::Secret => core_kinds::complete_secret(object)?,
        Rules::Namespace => core_kinds::complete_namespace(object),
        _ => {}
    }
    Ok(found)
}

/// Schema, metadata and Ark's rules; every broken one becomes a cause.
fn check(
    server: &Server,
    resource: &Resource,
    old: Option<(&Object, Part)>,
    object: Object,
    found: &Found,
    warnings: &mut Vec<String>,
) -> Result<Object> {
    let value = Value::Object(object);
    let before = old.map(|(old, _)| old);
    let mut errors = metadata::check(resource, before, &value["metadata"]);
    warnings.extend(metadata::warnings(before, &value["metadata"]));
    errors.extend(core_kinds::check(resource, before, &value));
    if let Some(schema) = resource.schema() {
        errors.extend(structural::validate(schema, &value));
    }
    let main = old.is_none_or(|(_, part)| part == Part::Main);
    if let (true, Some(kind), true) = (errors.is_empty(), resource.ark(), main) {
        let mut verdict = admission::validate_with(kind.kind, &value, found, server.admission);
        if kind.kind == "Query" && old.is_some_and(|(old, _)| asks_the_same(old, &value)) {
            // What it asks was accepted before: its Agent may have gone, and it must still be possible to cancel it.
            verdict.errors.retain(|error| error.field == "spec.ttl");
        }
        errors.extend(verdict.errors);
        warnings.extend(verdict.warnings);
    }
    if let Rules::Stored {
        warning: Some(warning),
    } = resource.rules
    {
        warnings.push(warning.to_owned());
    }
    let Value::Object(object) = value else {
        return Err(Status::internal(
            "admission made something else of an object",
        ));
    };
    if errors.is_empty() {
        return Ok(object);
    }
    let name = object::meta(&object, "name");
    Err(Status::invalid(
        &resource.group,
        &resource.kind,
        name,
        &errors,
    ))
}

/// Whether an update leaves everything that Ark looks at: the ends of a Query, `cancel` and `ttl`, may change.
fn asks_the_same(old: &Object, new: &Value) -> bool {
    let asked = |spec: Option<&Value>| {
        let mut spec = spec.and_then(Value::as_object).cloned().unwrap_or_default();
        spec.retain(|field, _| field != "cancel" && field != "ttl");
        spec
    };
    asked(old.get("spec")) == asked(new.get("spec"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn only_the_content_counts_for_the_generation() {
        let old = object(
            json!({"metadata": {"generation": 3, "name": "q"}, "spec": {"a": 1}, "status": {}}),
        );
        let same = object(
            json!({"metadata": {"labels": {}}, "spec": {"a": 1}, "status": {"phase": "done"}}),
        );
        assert_eq!(next_generation(&old, &same), 3);
        let other = object(json!({"metadata": {}, "spec": {"a": 2}}));
        assert_eq!(next_generation(&old, &other), 4);
    }

    #[test]
    fn cancel_and_ttl_ask_nothing_new() {
        let old = object(json!({"spec": {"input": "a", "ttl": "1h"}}));
        let ended = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"input": "a", "ttl": "2h", "cancel": true}});
        assert!(asks_the_same(&old, &ended));
        assert!(!asks_the_same(
            &old,
            &json!({"spec": {"input": "b", "ttl": "1h"}})
        ));
    }
}
