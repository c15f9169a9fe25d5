//! The patch types: JSON patch, JSON merge patch, and strategic merge patch where a kind has types for it.

mod strategic;

use ark_api::json::{from_slice_strict, replace_lone_surrogates};
use http::HeaderMap;
use json_patch::{AddOperation, PatchOperation};
use serde_json::Value;

use crate::catalog::Resource;
use crate::front::negotiate;
use crate::object::{self, Object, json_type};
use crate::protobuf::schema::{self, Message};
use crate::status::{Result, Status};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MAX_OPERATIONS: usize = 10_000;
/// What a JSON patch may copy, in bytes.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// A parsed patch.
pub(crate) struct Patch {
    kind: Kind,
    /// Keys that a merge patch has twice.
    pub(crate) duplicates: Vec<String>,
}

enum Kind {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(&'static Message, Object),
}

impl Patch {
    pub(crate) fn parse(resource: &Resource, headers: &HeaderMap, body: &[u8]) -> Result<Self> {
        match negotiate::content_type(headers) {
            JSON => Self::json(body),
            MERGE => Self::merge(body),
            STRATEGIC => match schema::of(resource) {
                Some(message) => Self::strategic(message, body),
                None => Err(unsupported(false)),
            },
            _ => Err(unsupported(schema::of(resource).is_some())),
        }
    }

    fn json(body: &[u8]) -> Result<Self> {
        let body = replace_lone_surrogates(body);
        let operations: Value = serde_json::from_slice(&body).map_err(undecodable)?;
        let Value::Array(operations) = operations else {
            return Err(mistyped(&operations, "[]handlers.jsonPatchOp"));
        };
        let count = operations.len();
        if count > MAX_OPERATIONS {
            let message = format!(
                "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}"
            );
            return Err(Status::new(413, "RequestEntityTooLarge", message));
        }
        let patch = serde_json::from_value(operations.into()).map_err(|e| inapplicable(&e))?;
        Ok(Self {
            kind: Kind::Json(patch),
            duplicates: Vec::new(),
        })
    }

    fn merge(body: &[u8]) -> Result<Self> {
        let (value, duplicates) = from_slice_strict(body).map_err(undecodable)?;
        if !value.is_object() {
            return Err(mistyped(&value, "map[string]interface {}"));
        }
        Ok(Self {
            kind: Kind::Merge(value),
            duplicates,
        })
    }

    fn strategic(message: &'static Message, body: &[u8]) -> Result<Self> {
        let patch = Self::merge(body)?;
        Ok(match patch.kind {
            Kind::Merge(Value::Object(fields)) => Self {
                kind: Kind::Strategic(message, fields),
                ..patch
            },
            kind => Self { kind, ..patch },
        })
    }

    /// The patched object.
    pub(crate) fn apply(&self, mut object: Value) -> Result<Value> {
        match &self.kind {
            Kind::Merge(patch) => json_patch::merge(&mut object, patch),
            Kind::Strategic(message, patch) => {
                if let Value::Object(fields) = &mut object {
                    strategic::merge(message, fields, patch).map_err(Status::bad_request)?;
                }
            }
            Kind::Json(patch) => {
                let mut copied = 0;
                for operation in &patch.0 {
                    copied += copy_size(operation, &object);
                    check_copied(copied)?;
                    let operation = lenient(operation, &object);
                    json_patch::patch(&mut object, &[operation]).map_err(|e| inapplicable(&e))?;
                }
            }
        }
        Ok(object)
    }
}

/// How many bytes an operation adds by copying.
fn copy_size(operation: &PatchOperation, object: &Value) -> usize {
    let PatchOperation::Copy(copy) = operation else {
        return 0;
    };
    let source = object.pointer(copy.from.as_str());
    source.map_or(0, |value| object::encode(value).len())
}

/// A few operations that copy what was copied would fill the memory.
fn check_copied(copied: usize) -> Result<()> {
    if copied <= MAX_COPIED {
        return Ok(());
    }
    Err(inapplicable(&"it copies more than is allowed"))
}

/// A replacement of a member that is not there adds it: stricter than Kubernetes would break what works there.
fn lenient(operation: &PatchOperation, object: &Value) -> PatchOperation {
    let PatchOperation::Replace(replace) = operation else {
        return operation.clone();
    };
    let parent = replace
        .path
        .parent()
        .and_then(|p| object.pointer(p.as_str()));
    let is_missing = object.pointer(replace.path.as_str()).is_none();
    if is_missing && parent.is_some_and(Value::is_object) {
        return PatchOperation::Add(AddOperation {
            path: replace.path.clone(),
            value: replace.value.clone(),
        });
    }
    operation.clone()
}

/// Operations that are unknown or do not fit the object, or a test that fails.
fn inapplicable(error: &dyn std::fmt::Display) -> Box<Status> {
    tracing::debug!(%error, "a JSON patch does not apply");
    let message = "the server rejected our request due to an error in our request";
    let mut status = Status::new(422, "Invalid", message);
    status.details = Some(serde_json::json!({}));
    status
}

fn unsupported(strategic: bool) -> Box<Status> {
    let more = if strategic {
        format!(", {STRATEGIC}")
    } else {
        String::new()
    };
    Status::unknown_format(&format!("{JSON}, {MERGE}{more}"))
}

/// A patch that is JSON of the wrong type, worded as Go's decoder does.
fn mistyped(patch: &Value, type_: &str) -> Box<Status> {
    let found = json_type(patch);
    Status::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {found} into Go value of type {type_}"
    ))
}

fn undecodable(error: serde_json::Error) -> Box<Status> {
    let why = if error.is_eof() {
        "unexpected end of JSON input".to_owned()
    } else {
        error.to_string()
    };
    Status::bad_request(format!("error decoding patch: {why}"))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use serde_json::json;

    use super::*;
    use crate::catalog;

    fn parse(plural: &str, type_: &str, body: &str) -> Result<Patch> {
        let resource = catalog::resources()
            .iter()
            .find(|r| r.plural == plural)
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, type_.parse().unwrap());
        Patch::parse(resource, &headers, body.as_bytes())
    }

    #[test]
    fn merge_and_json_patches_apply() {
        let object = json!({"a": {"b": 1, "c": 2}});
        let merged = parse("queries", MERGE, r#"{"a":{"b":null,"d":3}}"#).unwrap();
        assert_eq!(
            merged.apply(object.clone()).unwrap(),
            json!({"a": {"c": 2, "d": 3}})
        );
        let ops =
            r#"[{"op":"test","path":"/a/b","value":1},{"op":"replace","path":"/a/b","value":9}]"#;
        let patched = parse("queries", JSON, ops).unwrap();
        assert_eq!(
            patched.apply(object.clone()).unwrap(),
            json!({"a": {"b": 9, "c": 2}})
        );
        let failing = parse("queries", JSON, r#"[{"op":"test","path":"/zz","value":1}]"#).unwrap();
        assert_eq!(failing.apply(object).unwrap_err().code, 422);
    }

    #[test]
    fn each_kind_has_its_patch_types() {
        assert_eq!(parse("queries", STRATEGIC, "{}").err().unwrap().code, 415);
        let strategic = parse("secrets", STRATEGIC, r#"{"data":{"$patch":"replace"}}"#).unwrap();
        let emptied = strategic.apply(json!({"data": {"a": "YQ=="}})).unwrap();
        assert_eq!(emptied, json!({"data": {}}));
        assert_eq!(
            parse("queries", "application/apply-patch+yaml", "{}")
                .err()
                .unwrap()
                .code,
            415
        );
        let broken = parse("queries", MERGE, "{").err().unwrap();
        assert_eq!(
            broken.message,
            "error decoding patch: unexpected end of JSON input"
        );
    }

    #[test]
    fn copies_of_copies_end() {
        let doubling: Vec<Value> = (0..40)
            .map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"}))
            .collect();
        let patch = parse("queries", JSON, &json!(doubling).to_string()).unwrap();
        let refused = patch.apply(json!({"a": ["some text"]})).unwrap_err();
        assert_eq!(refused.code, 422);
    }
}
