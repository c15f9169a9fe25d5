//! Tables, the representation behind `kubectl get`.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::catalog::{Cell, Column, Resource};
use crate::object::{self, Object};
use crate::render::jsonpath;
use crate::status::{Result, Status};

/// How much of an object a row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            Some("None") => Ok(Self::Nothing),
            Some("Object") => Ok(Self::Object),
            None | Some("Metadata") => Ok(Self::Metadata),
            Some(other) => Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: \
                 must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// A Table of these rows; `definitions` is false in all but the first event of a watch.
pub(crate) fn table(
    resource: &Resource,
    version: &str,
    definitions: bool,
    rows: Vec<Value>,
    metadata: Value,
) -> Value {
    let columns = if definitions {
        column_definitions(resource)
    } else {
        Value::Null
    };
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata, "columnDefinitions": columns, "rows": rows,
    })
}

fn column_definitions(resource: &Resource) -> Value {
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name of the object, unique among those of its kind and namespace.",
    });
    let others = resource.columns.iter().map(|c| {
        json!({
            "name": c.name, "type": c.type_, "format": c.format, "priority": 0,
            "description": format!("{} of the {}.", c.name, resource.kind),
        })
    });
    std::iter::once(name).chain(others).collect()
}

/// The row of one object.
///
/// `version` is that of `meta.k8s.io`.
pub(crate) fn row(
    resource: &Resource,
    version: &str,
    object: Object,
    include: Include,
    now: DateTime<Utc>,
) -> Value {
    let name = object::meta(&object, "name").to_owned();
    let value = Value::Object(object);
    let cells = resource.columns.iter().map(|c| cell(c, &value, now));
    let cells: Vec<Value> = std::iter::once(Value::from(name)).chain(cells).collect();
    let object = match include {
        Include::Nothing => Value::Null,
        Include::Object => value,
        Include::Metadata => only_metadata(value, version),
    };
    json!({"cells": cells, "object": object})
}

/// The row of a bookmark, which stands for no object.
pub(crate) fn bookmark_row(resource: &Resource, object: Value) -> Value {
    let mut cells = vec![Value::Null; resource.columns.len() + 1];
    cells[0] = "".into();
    json!({"cells": cells, "object": object})
}

/// A PartialObjectMetadata of the object.
pub(crate) fn only_metadata(mut object: Value, version: &str) -> Value {
    let metadata = object["metadata"].take();
    let api_version = format!("meta.k8s.io/{version}");
    json!({"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": metadata})
}

fn cell(column: &Column, object: &Value, now: DateTime<Utc>) -> Value {
    match column.cell {
        Cell::Count(path) => jsonpath::find(path, object)
            .first()
            .map_or(0, |value| match value {
                Value::Array(items) => items.len(),
                Value::Object(entries) => entries.len(),
                _ => 0,
            })
            .into(),
        Cell::Reference(path) => jsonpath::find(path, object)
            .first()
            .map(|reference| {
                let kind = reference["kind"].as_str().unwrap_or_default();
                let name = reference["name"].as_str().unwrap_or_default();
                format!("{}/{name}", kind.to_lowercase()).into()
            })
            .unwrap_or_default(),
        Cell::Path(path) => match jsonpath::find(path, object).first() {
            None | Some(Value::Null) => Value::Null,
            Some(value) => typed(column.type_, value, now),
        },
    }
}

fn typed(type_: &str, value: &Value, now: DateTime<Utc>) -> Value {
    match (type_, value) {
        ("date", Value::String(text)) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => age(now.signed_duration_since(time)).into(),
            Err(_) => "<invalid>".into(),
        },
        ("integer", value) => value.as_i64().map_or(Value::Null, Value::from),
        ("number" | "boolean", value) => value.clone(),
        (_, Value::String(_)) => value.clone(),
        (_, other) => object::encode(other).into(),
    }
}

/// A duration in kubectl's short form: two units while they matter, then one.
fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if hours < 3 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, "d", hours % 24, "h")
    } else if days < 2 * 365 {
        format!("{days}d")
    } else if days < 8 * 365 {
        two(days / 365, "y", days % 365, "d")
    } else {
        format!("{}y", days / 365)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn ages_as_kubectl_prints_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (600, "10m"),
            (10799, "179m"),
            (10800, "3h"),
            (11000, "3h3m"),
            (8 * 3600, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (8 * 86400, "8d"),
            (800 * 86400, "2y70d"),
            (3000 * 86400, "8y"),
        ] {
            assert_eq!(age(TimeDelta::seconds(seconds)), text);
        }
    }

    #[test]
    fn a_row_has_a_cell_per_column() {
        let queries = catalog::find(ark_api::GROUP, "v1alpha1", "queries").unwrap();
        let now = "2026-11-20T10:00:46Z".parse().unwrap();
        let query = json!({
            "metadata": {"name": "q1", "creationTimestamp": "2026-11-20T10:00:00Z"},
            "spec": {"type": "user"}, "status": {"phase": "done"},
        });
        let object = query.as_object().unwrap().clone();
        let row = row(queries, "v1", object, Include::Metadata, now);
        assert_eq!(row["cells"], json!(["q1", "user", "done", null, "46s"]));
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
        let table = table(queries, "v1", true, vec![row], json!({}));
        let names: Vec<_> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["Name", "Type", "Phase", "Duration", "Age"]);
    }
}
