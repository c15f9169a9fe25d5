//! From a request's body to an object of the right kind, with the fields that it should not have.

use ark_api::json::from_slice_strict;
use ark_api::{object_meta, structural};
use serde_json::Value;

use crate::catalog::Resource;
use crate::object::{self, Object};
use crate::options::FieldValidation;
use crate::route::Target;
use crate::status::{FieldError, Result, Status};

/// Reads the body of a create or update.
pub(crate) fn body(resource: &Resource, bytes: &[u8]) -> Result<(Value, Vec<String>)> {
    let (value, duplicates) = from_slice_strict(bytes).map_err(|error| {
        let (why, text) = match bytes.iter().all(u8::is_ascii_whitespace) {
            true => ("unexpected end of JSON input".to_owned(), "<empty>".into()),
            false => (error.to_string(), excerpt(bytes)),
        };
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({text})",
            resource.kind
        ))
    })?;
    Ok((value, duplicates))
}

fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.into_owned(),
    }
}

/// Refuses an object that is not of the URL's kind, version, namespace and name.
pub(crate) fn check_identity(target: &Target, value: Value) -> Result<Object> {
    let resource = target.resource;
    let Value::Object(mut object) = value else {
        let message = format!(
            "the object provided is unrecognized (must be of type {}): it is not a JSON object",
            resource.kind
        );
        return Err(Status::bad_request(message));
    };
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
    if kind.is_empty() {
        let message = format!("Object 'Kind' is missing in a {}", resource.kind);
        return Err(Status::bad_request(message));
    }
    let expected = resource.api_version();
    if version != expected {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if kind != resource.kind {
        let detail = format!("must be {}", resource.kind);
        let cause = FieldError::invalid("kind", &kind.as_str().into(), &detail);
        let name = object::meta(&object, "name");
        return Err(Status::invalid(&resource.group, &kind, name, &[cause]));
    }
    check_metadata_types(resource, &mut object)?;
    check_place(target, &mut object)?;
    Ok(object)
}

fn check_place(target: &Target, object: &mut Object) -> Result<()> {
    let name = object::meta(object, "name");
    if !target.name.is_empty() && !name.is_empty() && name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    if !target.name.is_empty() && name.is_empty() {
        return Err(Status::bad_request("name must be provided"));
    }
    if !target.resource.namespaced {
        return Ok(());
    }
    let namespace = object::meta(object, "namespace");
    if !namespace.is_empty() && namespace != target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let namespace = target.namespace.as_str().into();
    object::metadata_mut(object).insert("namespace".into(), namespace);
    Ok(())
}

/// Refuses metadata of the wrong types and drops what is null or empty, as a round trip through ObjectMeta does.
fn check_metadata_types(resource: &Resource, object: &mut Object) -> Result<()> {
    if object
        .get("metadata")
        .is_some_and(|m| !m.is_object() && !m.is_null())
    {
        return Err(unreadable(resource, "metadata", "ObjectMeta"));
    }
    let metadata = object::metadata_mut(object);
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    });
    for (field, value) in metadata.iter() {
        let strings =
            |mut values: Box<dyn Iterator<Item = &Value> + '_>| values.all(Value::is_string);
        let (fits, type_) = match (field.as_str(), value) {
            ("labels" | "annotations", Value::Object(entries)) => {
                (strings(Box::new(entries.values())), "string")
            }
            ("labels" | "annotations", _) => (false, "map[string]string"),
            ("finalizers", Value::Array(items)) => (strings(Box::new(items.iter())), "string"),
            ("finalizers", _) => (false, "[]string"),
            ("ownerReferences" | "managedFields", Value::Array(items)) => {
                (items.iter().all(Value::is_object), "object")
            }
            ("ownerReferences" | "managedFields", _) => (false, "array"),
            ("generation" | "deletionGracePeriodSeconds", value) => (value.is_i64(), "int64"),
            (
                "name" | "generateName" | "namespace" | "uid" | "resourceVersion" | "selfLink"
                | "creationTimestamp" | "deletionTimestamp",
                value,
            ) => (value.is_string(), "string"),
            _ => (true, ""),
        };
        if !fits {
            return Err(unreadable(resource, &format!("metadata.{field}"), type_));
        }
    }
    Ok(())
}

fn unreadable(resource: &Resource, field: &str, type_: &str) -> Box<Status> {
    Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: json: cannot unmarshal {field} into type {type_}",
        kind = resource.kind,
        version = resource.version,
    ))
}

/// Removes the fields that the resource does not know; with the keys that occurred twice they are what strictness is about.
pub(crate) fn prune(
    resource: &Resource,
    value: &mut Value,
    duplicates: Vec<String>,
) -> Vec<String> {
    let unknown = match (resource.schema(), value.get_mut("metadata")) {
        (Some(schema), _) => structural::prune(schema, value),
        (None, Some(metadata)) => object_meta::prune(metadata),
        (None, None) => Vec::new(),
    };
    let duplicates = duplicates.iter().map(|f| format!("duplicate field {f:?}"));
    let unknown = unknown.iter().map(|f| format!("unknown field {f:?}"));
    duplicates.chain(unknown).collect()
}

/// What a create or update does about such fields: warns, fails, or nothing.
pub(crate) fn judge(
    resource: &Resource,
    validation: FieldValidation,
    findings: Vec<String>,
) -> Result<Vec<String>> {
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(findings),
        FieldValidation::Strict if findings.is_empty() => Ok(findings),
        FieldValidation::Strict => Err(Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {list}",
            kind = resource.kind,
            version = resource.version,
            list = findings.join(", "),
        ))),
    }
}

/// The same for a patch, which names the patch as the culprit.
pub(crate) fn judge_patch(
    validation: FieldValidation,
    findings: Vec<String>,
    patch: &[u8],
) -> Result<Vec<String>> {
    match validation {
        FieldValidation::Strict if !findings.is_empty() => {
            let detail = format!("strict decoding error: {}", findings.join(", "));
            let patch = String::from_utf8_lossy(patch).into_owned().into();
            let cause = FieldError::invalid("patch", &patch, &detail);
            Err(Status::invalid("", "", "", &[cause]))
        }
        FieldValidation::Ignore => Ok(Vec::new()),
        _ => Ok(findings),
    }
}
