//! The patch types: JSON patch, JSON merge patch, and strategic merge patches that mean the same as a merge patch.

use ark_api::json::{from_slice_strict, replace_lone_surrogates};
use http::HeaderMap;
use serde_json::Value;

use crate::catalog::Resource;
use crate::front::negotiate;
use crate::object::json_type;
use crate::status::{Result, Status};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MAX_OPERATIONS: usize = 10_000;

/// A parsed patch.
pub(crate) struct Patch {
    kind: Kind,
    /// Keys that a merge patch has twice.
    pub(crate) duplicates: Vec<String>,
}

enum Kind {
    Json(json_patch::Patch),
    Merge(Value),
}

impl Patch {
    pub(crate) fn parse(resource: &Resource, headers: &HeaderMap, body: &[u8]) -> Result<Self> {
        match negotiate::content_type(headers) {
            JSON => Self::json(body),
            MERGE => Self::merge(body),
            STRATEGIC if resource.ark().is_none() => {
                let patch = Self::merge(body)?;
                match &patch.kind {
                    Kind::Merge(value) if is_plain(value) => Ok(patch),
                    _ => Err(unsupported()),
                }
            }
            _ => Err(unsupported()),
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

    /// The patched object.
    pub(crate) fn apply(&self, mut object: Value) -> Result<Value> {
        match &self.kind {
            Kind::Merge(patch) => json_patch::merge(&mut object, patch),
            Kind::Json(patch) => {
                json_patch::patch(&mut object, patch).map_err(|e| inapplicable(&e))?;
            }
        }
        Ok(object)
    }
}

/// Without lists and directives a strategic merge patch is a merge patch.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(_) => false,
        Value::Object(fields) => fields
            .iter()
            .all(|(key, v)| !key.starts_with('$') && is_plain(v)),
        _ => true,
    }
}

/// Operations that are unknown or do not fit the object, or a test that fails.
fn inapplicable(error: &dyn std::fmt::Display) -> Box<Status> {
    tracing::debug!(%error, "a JSON patch does not apply");
    let message = "the server rejected our request due to an error in our request";
    let mut status = Status::new(422, "Invalid", message);
    status.details = Some(serde_json::json!({}));
    status
}

fn unsupported() -> Box<Status> {
    Status::unknown_format(&format!("{JSON}, {MERGE}"))
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
    fn strategic_patches_only_where_they_cannot_be_misread() {
        assert_eq!(parse("queries", STRATEGIC, "{}").err().unwrap().code, 415);
        assert!(parse("secrets", STRATEGIC, r#"{"data":{"a":"YQ=="}}"#).is_ok());
        assert_eq!(
            parse("secrets", STRATEGIC, r#"{"$patch":"replace"}"#)
                .err()
                .unwrap()
                .code,
            415
        );
        assert_eq!(
            parse("secrets", STRATEGIC, r#"{"a":[1]}"#)
                .err()
                .unwrap()
                .code,
            415
        );
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
}
