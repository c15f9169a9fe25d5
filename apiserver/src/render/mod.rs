//! From stored text to the representation that a client asked for.

mod jsonpath;
pub(crate) mod table;

use std::borrow::Cow;

use chrono::Utc;
use serde_json::{Map, Value, json};

use self::table::Include;
use crate::catalog::Resource;
use crate::front::negotiate::{Accepted, Encoding, View};
use crate::object::{self, Object};
use crate::protobuf;
use crate::protobuf::schema::{self, Message};
use crate::status::{Result, Status};

/// An answer's content in the encoding that the client takes.
pub(crate) enum Rendered {
    Json(String),
    Yaml(String),
    Protobuf(Vec<u8>),
}

/// A representation of one resource's objects.
#[derive(Clone, Copy)]
pub(crate) struct Renderer {
    pub(crate) resource: &'static Resource,
    pub(crate) accepted: Accepted,
    pub(crate) include: Include,
}

impl Renderer {
    /// One object, from its served text.
    pub(crate) fn single(&self, text: Cow<'_, str>) -> Result<Rendered> {
        match self.accepted.encoding {
            Encoding::Protobuf => Ok(Rendered::Protobuf(self.protobuf(&text)?)),
            Encoding::Yaml => yaml(&self.json(text)?),
            Encoding::Json => Ok(Rendered::Json(self.json(text)?)),
        }
    }

    fn json(&self, text: Cow<'_, str>) -> Result<String> {
        match self.accepted.view {
            View::Object => Ok(text.into_owned()),
            View::Metadata(version) => {
                let object = Value::Object(object::parse(&text)?);
                Ok(object::encode(&table::only_metadata(object, version)))
            }
            View::Table(version) => {
                let object = object::parse(&text)?;
                let metadata = json!({"resourceVersion": object::meta(&object, "resourceVersion")});
                Ok(self.table(version, true, vec![self.row(version, object)], metadata))
            }
        }
    }

    fn protobuf(&self, text: &str) -> Result<Vec<u8>> {
        Ok(protobuf::encode(self.message(), &self.viewed(text)?))
    }

    /// The object as a message shows it.
    fn viewed(&self, text: &str) -> Result<Object> {
        let object = object::parse(text)?;
        let View::Metadata(version) = self.accepted.view else {
            return Ok(object);
        };
        let mut object = table::only_metadata(Value::Object(object), version);
        Ok(object
            .as_object_mut()
            .map(std::mem::take)
            .unwrap_or_default())
    }

    fn message(&self) -> &'static Message {
        schema::of(self.resource)
            .filter(|_| !matches!(self.accepted.view, View::Metadata(_)))
            .unwrap_or_else(|| schema::message("PartialObjectMetadata"))
    }

    /// A list, from the served texts of its items. `metadata` is the list's.
    pub(crate) fn list(&self, items: &[Cow<'_, str>], mut metadata: Value) -> Result<Rendered> {
        // The reference server has an empty `continue` only in lists of whole objects.
        if let (true, Value::Object(fields)) = (self.accepted.view != View::Object, &mut metadata) {
            fields.retain(|_, value| value != "");
        }
        match self.accepted.encoding {
            Encoding::Protobuf => {
                let items = items.iter().map(|text| self.viewed(text));
                let items = items.collect::<Result<Vec<_>>>()?;
                let (api_version, kind) = self.list_type();
                let metadata = metadata.as_object().cloned().unwrap_or_default();
                let type_ = (api_version.as_str(), kind.as_str());
                let list = protobuf::encode_list(self.message(), type_, &metadata, items.iter());
                Ok(Rendered::Protobuf(list))
            }
            Encoding::Yaml => yaml(&self.json_list(items, metadata)?),
            Encoding::Json => Ok(Rendered::Json(self.json_list(items, metadata)?)),
        }
    }

    /// apiVersion and kind of a list.
    fn list_type(&self) -> (String, String) {
        match self.accepted.view {
            View::Metadata(version) => (
                format!("meta.k8s.io/{version}"),
                "PartialObjectMetadataList".into(),
            ),
            _ => (self.resource.api_version(), self.resource.list_kind()),
        }
    }

    fn json_list(&self, items: &[Cow<'_, str>], metadata: Value) -> Result<String> {
        if let View::Table(version) = self.accepted.view {
            let rows = items
                .iter()
                .map(|text| object::parse(text).map(|o| self.row(version, o)));
            let rows = rows.collect::<Result<_>>()?;
            return Ok(self.table(version, true, rows, metadata));
        }
        let (api_version, kind) = self.list_type();
        let size: usize = items.iter().map(|text| text.len() + 1).sum();
        let mut out = String::with_capacity(size + 200);
        out.push_str(&format!("{{\"apiVersion\":\"{api_version}\",\"items\":["));
        for (index, text) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            match self.accepted.view {
                View::Metadata(_) => out.push_str(&self.json(Cow::Borrowed(text))?),
                _ => out.push_str(text),
            }
        }
        out.push_str(&format!("],\"kind\":\"{kind}\",\"metadata\":{metadata}}}"));
        Ok(out)
    }

    /// The media type of a watch.
    pub(crate) fn stream_type(&self) -> &'static str {
        match self.accepted.encoding {
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            _ => "application/json",
        }
    }

    /// One event of a watch; `first` says whether a Table has to name its columns.
    pub(crate) fn event(&self, type_: &str, text: Cow<'_, str>, first: bool) -> Result<Vec<u8>> {
        let object = match (self.accepted.encoding, self.accepted.view) {
            (Encoding::Protobuf, _) => {
                return Ok(protobuf::encode_event(type_, &self.protobuf(&text)?));
            }
            (_, View::Table(version)) => {
                let object = object::parse(&text)?;
                let metadata = json!({"resourceVersion": object::meta(&object, "resourceVersion")});
                self.table(version, first, vec![self.row(version, object)], metadata)
            }
            _ => self.json(text)?,
        };
        Ok(line(type_, &object))
    }

    /// A bookmark: only a version.
    pub(crate) fn bookmark(&self, version: i64, first: bool) -> Vec<u8> {
        let metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        let (api_version, kind) = match self.accepted.view {
            View::Metadata(version) => (format!("meta.k8s.io/{version}"), "PartialObjectMetadata"),
            _ => (self.resource.api_version(), self.resource.kind.as_str()),
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        if let (Encoding::Protobuf, Value::Object(object)) = (self.accepted.encoding, &object) {
            let object = protobuf::encode(self.message(), object);
            return protobuf::encode_event("BOOKMARK", &object);
        }
        let object = match self.accepted.view {
            View::Table(of) => {
                let row = table::bookmark_row(self.resource, object);
                let metadata = json!({"resourceVersion": version.to_string()});
                self.table(of, first, vec![row], metadata)
            }
            _ => object.to_string(),
        };
        line("BOOKMARK", &object)
    }

    /// The error with which a watch ends.
    pub(crate) fn error(&self, status: &Status) -> Vec<u8> {
        match (self.accepted.encoding, status.to_value()) {
            (Encoding::Protobuf, Value::Object(status)) => {
                let object = protobuf::encode(schema::message("Status"), &status);
                protobuf::encode_event("ERROR", &object)
            }
            (_, status) => line("ERROR", &status.to_string()),
        }
    }

    fn row(&self, version: &str, object: Object) -> Value {
        table::row(self.resource, version, object, self.include, Utc::now())
    }

    fn table(&self, version: &str, definitions: bool, rows: Vec<Value>, metadata: Value) -> String {
        let table = table::table(self.resource, version, definitions, rows, metadata);
        object::encode(&table)
    }
}

fn line(type_: &str, object: &str) -> Vec<u8> {
    format!("{{\"type\":\"{type_}\",\"object\":{object}}}\n").into_bytes()
}

fn yaml(json: &str) -> Result<Rendered> {
    let value = object::parse(json)?;
    serde_saphyr::to_string(&value)
        .map(Rendered::Yaml)
        .map_err(|e| Status::internal(format!("an object has no YAML: {e}")))
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
