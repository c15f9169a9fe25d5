//! Strategic merge patches, which kubectl sends for core kinds: merge patches that merge lists, too, by a key of their items.
//!
//! Source: the notes on strategic merge patch in the Kubernetes API conventions.

use serde_json::Value;

use crate::object::Object;
use crate::protobuf::schema::{self, Field, Merge, Message, Type};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Applies `patch` to an object of that message; the error says what the patch lacks.
pub(super) fn merge(message: &Message, object: &mut Object, patch: &Object) -> Result<(), String> {
    merge_object(Some(message), object, patch)
}

/// `message` is none within maps of plain values.
fn merge_object(
    message: Option<&Message>,
    object: &mut Object,
    patch: &Object,
) -> Result<(), String> {
    match patch.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => {
            *object = patch.clone();
            object.remove(PATCH);
            return Ok(());
        }
        Some(Some("delete")) => {
            object.clear();
            return Ok(());
        }
        Some(other) => return Err(format!("unknown patch type found: {other:?}")),
    }
    if let Some(Value::Array(kept)) = patch.get(RETAIN_KEYS) {
        object.retain(|name, _| kept.iter().any(|key| key == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM) {
            delete_values(object.get_mut(list), value);
        } else if !name.starts_with('$') {
            let field = message.and_then(|m| m.fields.iter().find(|f| &f.name == name));
            merge_member(field, object, name, value)?;
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix(ORDER) {
            let field = message.and_then(|m| m.fields.iter().find(|f| f.name == list));
            arrange(field, object.get_mut(list), order);
        }
    }
    Ok(())
}

fn merge_member(
    field: Option<&Field>,
    object: &mut Object,
    name: &str,
    value: &Value,
) -> Result<(), String> {
    match (value, object.get_mut(name)) {
        (Value::Null, _) => {
            object.remove(name);
        }
        (Value::Object(patch), current) => {
            let mut merged = current
                .and_then(Value::as_object_mut)
                .map(std::mem::take)
                .unwrap_or_default();
            merge_object(field.and_then(message_of), &mut merged, patch)?;
            object.insert(name.to_owned(), merged.into());
        }
        (Value::Array(patch), current) => {
            let mut items = current
                .and_then(Value::as_array_mut)
                .map(std::mem::take)
                .unwrap_or_default();
            match field.map(|f| (f, &f.merge)) {
                Some((field, Merge::Key(key))) => merge_by_key(field, key, &mut items, patch)?,
                Some((_, Merge::Values)) => {
                    let missing = patch.iter().filter(|item| !items.contains(item));
                    let missing: Vec<Value> = missing.cloned().collect();
                    items.extend(missing);
                }
                _ => items.clone_from(patch),
            }
            object.insert(name.to_owned(), items.into());
        }
        (value, _) => {
            object.insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

fn message_of(field: &Field) -> Option<&'static Message> {
    match &field.type_ {
        Type::Message(name) => Some(schema::message(name)),
        _ => None,
    }
}

fn merge_by_key(
    field: &Field,
    key: &str,
    items: &mut Vec<Value>,
    patch: &[Value],
) -> Result<(), String> {
    let plain = |item: &&Value| item.get(PATCH).is_none();
    if patch.iter().any(|item| item[PATCH] == "replace") {
        *items = patch.iter().filter(plain).cloned().collect();
        return Ok(());
    }
    for change in patch {
        let name = &change[key];
        let Some(change) = change.as_object().filter(|_| !name.is_null()) else {
            let list = &field.name;
            return Err(format!(
                "an item of {list} does not contain declared merge key: {key}"
            ));
        };
        if change.get(PATCH).is_some_and(|patch| patch == "delete") {
            items.retain(|item| &item[key] != name);
            continue;
        }
        let known = items.iter_mut().find(|item| &item[key] == name);
        match known.and_then(Value::as_object_mut) {
            Some(item) => merge_object(message_of(field), item, change)?,
            None => {
                let mut item = Object::new();
                merge_object(message_of(field), &mut item, change)?;
                items.push(item.into());
            }
        }
    }
    Ok(())
}

fn delete_values(list: Option<&mut Value>, values: &Value) {
    let items = list.and_then(Value::as_array_mut);
    if let (Some(items), Some(values)) = (items, values.as_array()) {
        items.retain(|item| !values.contains(item));
    }
}

/// Brings the items that `order` names into its order; others keep their places.
fn arrange(field: Option<&Field>, list: Option<&mut Value>, order: &Value) {
    let (Some(Value::Array(items)), Some(order)) = (list, order.as_array()) else {
        return;
    };
    let identity = |item: &Value| match field.map(|f| &f.merge) {
        Some(Merge::Key(key)) => item[key].clone(),
        _ => item.clone(),
    };
    let order: Vec<Value> = order.iter().map(identity).collect();
    let place = |item: &Value| order.iter().position(|named| named == &identity(item));
    let mut named: Vec<Value> = items
        .iter()
        .filter(|i| place(i).is_some())
        .cloned()
        .collect();
    named.sort_by_key(|item| place(item));
    let mut named = named.into_iter();
    for item in items.iter_mut().filter(|item| place(item).is_some()) {
        if let Some(next) = named.next() {
            *item = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(kind: &str, mut object: Value, patch: Value) -> Result<Value, String> {
        let object_mut = object.as_object_mut().unwrap();
        merge(
            schema::message(kind),
            object_mut,
            patch.as_object().unwrap(),
        )?;
        Ok(object)
    }

    #[test]
    fn lists_merge_by_their_key() {
        let service = json!({"spec": {"selector": {"a": "b"}, "ports": [
            {"port": 80, "name": "web"}, {"port": 81, "name": "old"}, {"port": 82, "name": "same"}]}});
        // As kubectl apply sends it.
        let patch = json!({"spec": {
            "$setElementOrder/ports": [{"port": 83}, {"port": 82}, {"port": 80}],
            "ports": [{"port": 80, "name": "http"}, {"port": 83}, {"$patch": "delete", "port": 81}],
            "selector": {"a": null, "c": "d"}}});
        let expected = json!({"spec": {"selector": {"c": "d"}, "ports": [
            {"port": 83}, {"port": 82, "name": "same"}, {"port": 80, "name": "http"}]}});
        assert_eq!(merged("Service", service.clone(), patch).unwrap(), expected);
        let replaced = json!({"spec": {"ports": [{"port": 1}, {"$patch": "replace"}]}});
        let service = merged("Service", service, replaced).unwrap();
        assert_eq!(service["spec"]["ports"], json!([{"port": 1}]));
        let without = json!({"spec": {"ports": [{"name": "x"}]}});
        let error = merged("Service", service, without).unwrap_err();
        assert!(error.ends_with("declared merge key: port"), "{error}");
    }

    #[test]
    fn values_are_added_and_other_lists_replaced() {
        let role =
            json!({"metadata": {"finalizers": ["a/b", "c/d"]}, "rules": [{"verbs": ["get"]}]});
        let patch = json!({
            "metadata": {"finalizers": ["e/f"], "$deleteFromPrimitiveList/finalizers": ["a/b"]},
            "rules": [{"verbs": ["list"]}],
        });
        let expected =
            json!({"metadata": {"finalizers": ["c/d", "e/f"]}, "rules": [{"verbs": ["list"]}]});
        assert_eq!(merged("Role", role, patch).unwrap(), expected);
        let retained = json!({"data": {"$retainKeys": ["b"], "b": "2"}});
        let map = merged("ConfigMap", json!({"data": {"a": "1", "b": "1"}}), retained).unwrap();
        assert_eq!(map, json!({"data": {"b": "2"}}));
    }
}
