//! Kubernetes' protobuf for the core kinds, which many clients of these kinds send and prefer.
//!
//! An object goes over the wire as the four bytes `k8s\0` and an envelope that names apiVersion and kind.
//! Source: the protobuf notes in Kubernetes' API concepts, and the generated.proto files of its types.

mod decode;
mod encode;
pub(crate) mod schema;
pub(crate) mod typed;

use serde_json::Value;

pub(crate) use self::decode::Malformed;
use self::decode::{Reader, Wire};
use self::encode::put_bytes;
use self::schema::{Message, message};
use crate::object::Object;

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";

/// The object in a request's body. It has no apiVersion and kind if the envelope has none.
pub(crate) fn decode(of: &Message, body: &[u8]) -> Result<Object, Malformed> {
    let mut reader = Reader::new(body.strip_prefix(MAGIC).ok_or(Malformed)?);
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = decode::message(of, raw)?;
    let mut reader = Reader::new(type_meta);
    while let Some((number, wire)) = reader.next()? {
        let (field, Wire::Bytes(bytes)) = (number, wire) else {
            continue;
        };
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)?;
        match field {
            1 if !text.is_empty() => object.insert("apiVersion".into(), text.into()),
            2 if !text.is_empty() => object.insert("kind".into(), text.into()),
            _ => None,
        };
    }
    Ok(object)
}

/// An object in its envelope.
pub(crate) fn encode(of: &Message, object: &Object) -> Vec<u8> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    envelope(
        text("apiVersion"),
        text("kind"),
        &encode::message(of, object),
    )
}

/// A list in its envelope; every list has its metadata first and its items second.
pub(crate) fn encode_list<'o>(
    of: &Message,
    (api_version, kind): (&str, &str),
    metadata: &Object,
    items: impl Iterator<Item = &'o Object>,
) -> Vec<u8> {
    let mut list = Vec::new();
    put_bytes(
        &mut list,
        1,
        &encode::message(message("ListMeta"), metadata),
    );
    for item in items {
        put_bytes(&mut list, 2, &encode::message(of, item));
    }
    envelope(api_version, kind, &list)
}

/// One frame of a watch: its length, and the event with the enveloped object.
pub(crate) fn encode_event(type_: &str, object: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    put_bytes(&mut raw, 1, object);
    let mut event = Vec::new();
    put_bytes(&mut event, 1, type_.as_bytes());
    put_bytes(&mut event, 2, &raw);
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    let mut frame = length.to_be_bytes().to_vec();
    frame.append(&mut event);
    frame
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut type_meta = Vec::new();
    put_bytes(&mut type_meta, 1, api_version.as_bytes());
    put_bytes(&mut type_meta, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    put_bytes(&mut out, 1, &type_meta);
    put_bytes(&mut out, 2, raw);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn objects_come_back() {
        for (name, value) in [
            (
                "Secret",
                json!({
                    "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": false,
                    "data": {"a": "AAH/", "empty": ""},
                    "metadata": {"name": "s", "creationTimestamp": "2026-11-21T10:00:00Z", "generation": -1,
                        "ownerReferences": [{"name": "o", "controller": true}]},
                }),
            ),
            (
                "Service",
                json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "None", "ports": [
                    {"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}]}}),
            ),
            (
                "Lease",
                json!({"spec": {"holderIdentity": "", "renewTime": "2026-11-21T10:00:00.000123Z"}}),
            ),
            (
                "SelfSubjectReview",
                json!({"status": {"userInfo": {"username": "u", "groups": ["a", "b"], "extra": {"k": ["v"]}}}}),
            ),
        ] {
            let value = object(value);
            let bytes = encode(message(name), &value);
            let mut back = decode(message(name), &bytes).unwrap();
            back.retain(|name, _| value.contains_key(name));
            assert_eq!(back, value, "{name}");
        }
    }

    #[test]
    fn broken_bytes_are_refused() {
        let bytes = encode(
            message("ConfigMap"),
            &object(json!({"metadata": {"name": "n"}})),
        );
        assert_eq!(decode(message("ConfigMap"), &bytes[4..]), Err(Malformed));
        // Anywhere within the object.
        for end in bytes.len() - 6..bytes.len() {
            assert_eq!(
                decode(message("ConfigMap"), &bytes[..end]),
                Err(Malformed),
                "{end}"
            );
        }
    }

    /// What kubectl 1.32 sends for `create configmap c --from-literal=k=v`.
    #[test]
    fn what_a_client_sends_is_read() {
        let sent = b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\"\n\x18\n\x01c\x12\0\x1a\x07default\"\0*\x002\08\0B\0\x12\x06\n\x01k\x12\x01v\x1a\0\"\0";
        let read = decode(message("ConfigMap"), sent).unwrap();
        assert_eq!(
            Value::Object(read),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
                "metadata": {"name": "c", "namespace": "default"}})
        );
    }
}
