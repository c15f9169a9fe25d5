//! From stored text to the representation that a client asked for.

mod jsonpath;
pub(crate) mod table;

use std::borrow::Cow;

use chrono::Utc;
use serde_json::{Map, Value, json};

use self::table::Include;
use crate::catalog::Resource;
use crate::front::negotiate::View;
use crate::object::{self, Object};
use crate::status::{Result, Status};

/// A representation of one resource's objects.
#[derive(Clone, Copy)]
pub(crate) struct Renderer {
    pub(crate) resource: &'static Resource,
    pub(crate) view: View,
    pub(crate) include: Include,
}

impl Renderer {
    /// One object, from its served text.
    pub(crate) fn single(&self, text: Cow<'_, str>) -> Result<String> {
        match self.view {
            View::Object => Ok(text.into_owned()),
            View::Metadata => {
                let object = Value::Object(object::parse(&text)?);
                Ok(object::encode(&table::only_metadata(object)))
            }
            View::Table(version) => {
                let object = object::parse(&text)?;
                let metadata = json!({"resourceVersion": object::meta(&object, "resourceVersion")});
                Ok(self.table(version, true, vec![self.row(object)], metadata))
            }
        }
    }

    /// A list, from the served texts of its items. `metadata` is the list's.
    pub(crate) fn list(&self, items: &[Cow<'_, str>], mut metadata: Value) -> Result<String> {
        // The reference server has an empty `continue` only in lists of whole objects.
        if let (true, Value::Object(fields)) = (self.view != View::Object, &mut metadata) {
            fields.retain(|_, value| value != "");
        }
        let (api_version, kind) = match self.view {
            View::Table(version) => {
                let rows = items
                    .iter()
                    .map(|text| object::parse(text).map(|o| self.row(o)));
                let rows = rows.collect::<Result<_>>()?;
                return Ok(self.table(version, true, rows, metadata));
            }
            View::Metadata => (
                "meta.k8s.io/v1".to_owned(),
                "PartialObjectMetadataList".to_owned(),
            ),
            View::Object => (self.resource.api_version(), self.resource.list_kind()),
        };
        let size: usize = items.iter().map(|text| text.len() + 1).sum();
        let mut out = String::with_capacity(size + 200);
        out.push_str(&format!("{{\"apiVersion\":\"{api_version}\",\"items\":["));
        for (index, text) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            match self.view {
                View::Metadata => out.push_str(&self.single(Cow::Borrowed(text))?),
                _ => out.push_str(text),
            }
        }
        out.push_str(&format!("],\"kind\":\"{kind}\",\"metadata\":{metadata}}}"));
        Ok(out)
    }

    /// One line of a watch; `first` says whether a Table has to name its columns.
    pub(crate) fn event(&self, type_: &str, text: Cow<'_, str>, first: bool) -> Result<String> {
        let object = match self.view {
            View::Table(version) => {
                let object = object::parse(&text)?;
                let metadata = json!({"resourceVersion": object::meta(&object, "resourceVersion")});
                self.table(version, first, vec![self.row(object)], metadata)
            }
            _ => self.single(text)?,
        };
        Ok(line(type_, &object))
    }

    /// A bookmark: only a version.
    pub(crate) fn bookmark(&self, version: i64, first: bool) -> String {
        let metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        let object = match self.view {
            View::Metadata => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            }),
            _ => json!({
                "kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata,
            }),
        };
        let object = match self.view {
            View::Table(of) => {
                let row = table::bookmark_row(self.resource, object);
                let metadata = json!({"resourceVersion": version.to_string()});
                self.table(of, first, vec![row], metadata)
            }
            _ => object.to_string(),
        };
        line("BOOKMARK", &object)
    }

    fn row(&self, object: Object) -> Value {
        table::row(self.resource, object, self.include, Utc::now())
    }

    fn table(&self, version: &str, definitions: bool, rows: Vec<Value>, metadata: Value) -> String {
        let table = table::table(self.resource, version, definitions, rows, metadata);
        object::encode(&table)
    }
}

/// The error with which a watch ends.
pub(crate) fn error_line(status: &Status) -> String {
    line("ERROR", &status.to_value().to_string())
}

fn line(type_: &str, object: &str) -> String {
    format!("{{\"type\":\"{type_}\",\"object\":{object}}}\n")
}

/// A list's own metadata.
pub(crate) fn list_metadata(version: i64, next: Option<String>, remaining: Option<i64>) -> Value {
    let mut metadata = Map::new();
    metadata.insert("continue".into(), next.unwrap_or_default().into());
    metadata.insert("resourceVersion".into(), version.to_string().into());
    if let Some(remaining) = remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    Value::Object(metadata)
}
