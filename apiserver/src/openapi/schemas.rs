//! The schemas of the OpenAPI documents: one per kind and list, and the metadata they share.

use serde_json::{Map, Value, json};

use super::messages::{merging_metadata, of_message};
use crate::catalog::Resource;
use crate::protobuf::schema::{self, Message};

pub(crate) const OBJECT_META: &str = "com.mckinsey.ark.meta.ObjectMeta";
pub(crate) const LIST_META: &str = "com.mckinsey.ark.meta.ListMeta";
pub(crate) const STATUS: &str = "com.mckinsey.ark.meta.Status";

/// `com.mckinsey.ark.v1alpha1.Query`: the group's labels backwards, the version, the kind.
pub(crate) fn schema_name(resource: &Resource, kind: &str) -> String {
    let group = match resource.group.as_str() {
        "" => "io.k8s.api.core".to_owned(),
        group => group.rsplit('.').collect::<Vec<_>>().join("."),
    };
    format!("{group}.{}.{kind}", resource.version)
}

pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// All schemas that a document of these resources needs.
pub(crate) fn schemas(resources: &[&Resource]) -> Map<String, Value> {
    let mut all = Map::new();
    for resource in resources {
        all.insert(schema_name(resource, &resource.kind), of_kind(resource));
        let list_kind = resource.list_kind();
        all.insert(
            schema_name(resource, &list_kind),
            of_list(resource, &list_kind),
        );
    }
    let mut metadata = object_meta();
    merging_metadata(&mut metadata);
    all.insert(OBJECT_META.into(), metadata);
    all.insert(LIST_META.into(), list_meta());
    all.insert(STATUS.into(), status());
    all
}

fn of_kind(resource: &Resource) -> Value {
    let mut schema = match (resource.schema(), schema::of(resource)) {
        (Some(schema), _) => schema.clone(),
        (None, Some(message)) => of_core_kind(resource, message),
        (None, None) => json!({"type": "object", "properties": {}}),
    };
    schema["properties"]["metadata"] = json!({
        "description": "Name, namespace, labels and what else all objects have.",
        "allOf": [reference(OBJECT_META)], "default": {},
    });
    schema["x-kubernetes-group-version-kind"] = group_version_kind(resource, &resource.kind);
    schema
}

fn of_core_kind(resource: &Resource, message: &Message) -> Value {
    let mut schema = of_message(message);
    schema["description"] = format!("{} as Kubernetes defines it.", resource.kind).into();
    schema["properties"]["apiVersion"] = json!({"type": "string", "description": "Group and version of this representation of the object."});
    schema["properties"]["kind"] = json!({"type": "string", "description": "Kind of the object."});
    schema
}

fn of_list(resource: &Resource, kind: &str) -> Value {
    json!({
        "type": "object", "description": format!("A list of {}.", resource.plural), "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of the list."},
            "kind": {"type": "string", "description": "Kind of the list."},
            "metadata": {"description": "Version of the list, and where its next page begins.", "allOf": [reference(LIST_META)], "default": {}},
            "items": {"type": "array", "items": {"allOf": [reference(&schema_name(resource, &resource.kind))], "default": {}}},
        },
        "x-kubernetes-group-version-kind": group_version_kind(resource, kind),
    })
}

fn group_version_kind(resource: &Resource, kind: &str) -> Value {
    json!([{"group": resource.group, "version": resource.version, "kind": kind}])
}

fn object_meta() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let texts = |description: &str| json!({"type": "object", "additionalProperties": {"type": "string"}, "description": description});
    json!({
        "type": "object", "description": "What all objects have.",
        "properties": {
            "name": text("Name, unique among the objects of one kind and namespace."),
            "generateName": text("Prefix of a name that the server completes."),
            "namespace": text("Namespace of the object."),
            "labels": texts("Keys and values by which objects are selected."),
            "annotations": texts("Keys and values that are not selected by."),
            "finalizers": {"type": "array", "items": {"type": "string"}, "description": "What must be done before the object goes; whoever has done it removes its entry.", "x-kubernetes-list-type": "set"},
            "ownerReferences": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}, "description": "Objects on which this one depends."},
            "uid": text("Identity of the object among all that ever had its name; set by the server."),
            "resourceVersion": text("Version of the object; a write that names another one is refused."),
            "generation": {"type": "integer", "format": "int64", "description": "Counts changes of what is wanted; set by the server."},
            "creationTimestamp": {"type": "string", "format": "date-time", "description": "When the object was created; set by the server."},
            "deletionTimestamp": {"type": "string", "format": "date-time", "description": "When the object was asked to go; set by the server."},
            "deletionGracePeriodSeconds": {"type": "integer", "format": "int64", "description": "Always 0."},
            "managedFields": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}, "description": "Not kept by this server."},
            "selfLink": text("Not used any more."),
        },
    })
}

fn list_meta() -> Value {
    json!({
        "type": "object", "description": "What all lists have.",
        "properties": {
            "continue": {"type": "string", "description": "Where the next page begins; empty on the last."},
            "remainingItemCount": {"type": "integer", "format": "int64", "description": "How many objects the later pages have."},
            "resourceVersion": {"type": "string", "description": "Version of the list, from which it can be watched."},
        },
    })
}

fn status() -> Value {
    json!({
        "type": "object", "description": "The outcome of a request that answers no object.",
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "status": {"type": "string"},
            "message": {"type": "string"}, "reason": {"type": "string"},
            "code": {"type": "integer", "format": "int32"},
            "details": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "metadata": {"allOf": [reference(LIST_META)], "default": {}},
        },
    })
}
