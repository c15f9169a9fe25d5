//! What a standalone server completes in core kinds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::object::{self, Object};
use crate::status::{Result, Status};

/// Folds `stringData` into `data` and checks that `data` is base64.
pub(super) fn complete_secret(secret: &mut Object) -> Result<()> {
    secret.entry("type").or_insert_with(|| "Opaque".into());
    let plain = secret.remove("stringData");
    let broken = |why: String| Status::bad_request(format!("Secret cannot be handled: {why}"));
    let mut data = match secret.remove("data") {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(broken("data must be an object".into())),
    };
    for (key, value) in &data {
        if value
            .as_str()
            .is_none_or(|text| STANDARD.decode(text).is_err())
        {
            return Err(broken(format!("data[{key:?}] must be a base64 string")));
        }
    }
    for (key, value) in plain
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let Some(text) = value.as_str() else {
            return Err(broken(format!("stringData[{key:?}] must be a string")));
        };
        data.insert(key.clone(), STANDARD.encode(text).into());
    }
    if !data.is_empty() {
        secret.insert("data".into(), data.into());
    }
    Ok(())
}

/// Fills in what the server says of a Namespace.
pub(super) fn complete_namespace(namespace: &mut Object) {
    let name = object::meta(namespace, "name").to_owned();
    namespace
        .entry("spec")
        .or_insert_with(|| json!({"finalizers": ["kubernetes"]}));
    namespace
        .entry("status")
        .or_insert_with(|| json!({"phase": "Active"}));
    let metadata = object::metadata_mut(namespace);
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn plain_text_of_a_secret_becomes_data() {
        let mut secret = object(json!({"data": {"a": "YQ=="}, "stringData": {"b": "b", "a": "x"}}));
        complete_secret(&mut secret).unwrap();
        assert_eq!(
            Value::Object(secret),
            json!({"type": "Opaque", "data": {"a": "eA==", "b": "Yg=="}})
        );
        let mut broken = object(json!({"data": {"a": "not base64!"}}));
        assert_eq!(complete_secret(&mut broken).unwrap_err().code, 400);
    }
}
