//! From a request's body to an object of the right kind, with the fields that it should not have.

use ark_api::json::from_slice_strict;
use ark_api::{object_meta, structural};
use serde_json::Value;

use crate::catalog::Resource;
use crate::front::negotiate;
use crate::front::options::FieldValidation;
use crate::front::request::Request;
use crate::front::route::Target;
use crate::object::{self, Object};
use crate::protobuf::schema;
use crate::protobuf::{self, typed};
use crate::status::{FieldError, Result, Status};

/// What Kubernetes first decodes a body into, as its messages print that.
const TYPE_META: &str = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// Reads the body of a create or update, and the keys that it has twice.
pub(crate) fn body(resource: &Resource, request: &Request) -> Result<(Value, Vec<String>)> {
    let bytes = &request.body;
    // curl -d says that it sends a form; the reference server refuses that as well.
    let decoded = match (
        negotiate::content_type(&request.headers),
        schema::of(resource),
    ) {
        ("application/json", _) => json(resource, bytes)?,
        ("application/yaml", _) => (yaml(resource, bytes)?, Vec::new()),
        (protobuf::MEDIA_TYPE, Some(message)) => {
            let object = protobuf::decode(message, bytes)
                .map_err(|malformed| unrecognized(resource, bytes, &malformed.to_string()))?;
            (with_type(resource, object), Vec::new())
        }
        _ => {
            return Err(Status::unsupported_media_type(
                schema::of(resource).is_some(),
            ));
        }
    };
    if decoded.0["kind"].as_str().unwrap_or_default().is_empty() {
        let text = String::from_utf8_lossy(bytes);
        let why = format!("Object 'Kind' is missing in '{text}'");
        return Err(unrecognized(resource, bytes, &why));
    }
    Ok(decoded)
}

fn json(resource: &Resource, bytes: &[u8]) -> Result<(Value, Vec<String>)> {
    let (value, duplicates) = from_slice_strict(bytes).map_err(|error| {
        let why = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        let why = format!("couldn't get version/kind; json parse error: {why}");
        unrecognized(resource, bytes, &why)
    })?;
    if !value.is_object() && !value.is_null() {
        let why = format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type {TYPE_META}",
            object::json_type(&value)
        );
        return Err(unrecognized(resource, bytes, &why));
    }
    Ok((value, duplicates))
}

fn yaml(resource: &Resource, bytes: &[u8]) -> Result<Value> {
    let value: Value = serde_saphyr::from_slice(bytes)
        .map_err(|e| unrecognized(resource, bytes, &format!("yaml parse error: {e}")))?;
    Ok(value)
}

/// An envelope without a type holds what the URL says.
fn with_type(resource: &Resource, mut object: Object) -> Value {
    let type_ = [
        ("apiVersion", resource.api_version()),
        ("kind", resource.kind.clone()),
    ];
    for (field, value) in type_ {
        object.entry(field).or_insert(value.into());
    }
    Value::Object(object)
}

fn unrecognized(resource: &Resource, bytes: &[u8], why: &str) -> Box<Status> {
    let (kind, text) = (&resource.kind, summary(bytes));
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({text})"
    ))
}

/// The beginning of a body, for error messages.
fn summary(bytes: &[u8]) -> String {
    const SHOWN: usize = 30;
    let part = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { " ..." } else { "" };
    match bytes.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(part)),
        Some(_) => {
            let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            hex + more
        }
    }
}

/// Refuses an object that is not of the URL's kind, version, namespace and name.
pub(crate) fn check_identity(target: &Target, value: Value) -> Result<Object> {
    let resource = target.resource;
    let Value::Object(mut object) = value else {
        return Err(Status::bad_request("the object is not a JSON object"));
    };
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (version, kind) = (text("apiVersion"), text("kind").to_owned());
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
    check_metadata(resource, &mut object)?;
    check_place(target, &mut object)?;
    Ok(object)
}

/// Refuses a patch that makes another version of the object, or breaks the types of its metadata.
pub(crate) fn check_patched(target: &Target, patched: &Value) -> Result<()> {
    let (resource, version) = (target.resource, &patched["apiVersion"]);
    let expected = resource.api_version();
    if version != &expected {
        let detail = format!("must be {expected}");
        let cause = FieldError::invalid("apiVersion", version, &detail);
        let group = version.as_str().and_then(|v| v.split_once('/'));
        let group = group.map_or("", |(group, _)| group);
        return Err(Status::invalid(
            group,
            &resource.kind,
            &target.name,
            &[cause],
        ));
    }
    object_meta::check_types(&patched["metadata"]).map_err(|why| {
        let shown = object::encode(patched).into();
        Status::invalid("", "", "", &[FieldError::invalid("patch", &shown, &why)])
    })
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
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            target.name
        )));
    }
    if !target.resource.namespaced {
        object::metadata_mut(object).remove("namespace");
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
fn check_metadata(resource: &Resource, object: &mut Object) -> Result<()> {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    if !metadata.is_object() && !metadata.is_null() {
        let found = object::json_type(metadata);
        let why = format!("json: cannot unmarshal {found} into Go value of type v1.ObjectMeta");
        return Err(unhandled(resource, &why));
    }
    object_meta::check_types(metadata).map_err(|why| unhandled(resource, &why))?;
    let metadata = object::metadata_mut(object);
    for field in ["labels", "annotations"] {
        let entries = metadata.get_mut(field).and_then(Value::as_object_mut);
        for (_, value) in entries.into_iter().flatten() {
            if value.is_null() {
                *value = "".into();
            }
        }
    }
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    });
    Ok(())
}

/// Removes the fields that the resource does not know; with the keys that occurred twice they are what strictness is about.
pub(crate) fn prune(
    resource: &Resource,
    value: &mut Value,
    duplicates: Vec<String>,
) -> Result<Vec<String>> {
    let unknown = match (resource.schema(), schema::of(resource), &mut *value) {
        (Some(schema), ..) => structural::prune(schema, value),
        (None, Some(message), Value::Object(object)) => {
            let mut unknown =
                typed::fit(message, object).map_err(|why| unhandled(resource, &why))?;
            let metadata = object.get_mut("metadata");
            unknown.extend(metadata.map(object_meta::prune).unwrap_or_default());
            unknown
        }
        _ => Vec::new(),
    };
    let duplicates = duplicates.iter().map(|f| format!("duplicate field {f:?}"));
    let unknown = unknown.iter().map(|f| format!("unknown field {f:?}"));
    Ok(duplicates.chain(unknown).collect())
}

/// An object that cannot be read as its kind.
fn unhandled(resource: &Resource, why: &str) -> Box<Status> {
    let (kind, version) = (&resource.kind, &resource.version);
    Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
    ))
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
        FieldValidation::Strict => {
            let list = findings.join(", ");
            Err(unhandled(
                resource,
                &format!("strict decoding error: {list}"),
            ))
        }
    }
}

/// The same for a patch, whose result is shown in the error.
pub(crate) fn judge_patch(
    validation: FieldValidation,
    findings: Vec<String>,
    patched: &Value,
) -> Result<Vec<String>> {
    match validation {
        FieldValidation::Strict if !findings.is_empty() => {
            let detail = format!("strict decoding error: {}", findings.join(", "));
            let shown = object::encode(patched).into();
            let cause = FieldError::invalid("patch", &shown, &detail);
            Err(Status::invalid("", "", "", &[cause]))
        }
        FieldValidation::Ignore => Ok(Vec::new()),
        _ => Ok(findings),
    }
}
