//! Secrets at rest: AES-256-GCM with a key that is not in the database.
//!
//! The stored text of a Secret is an object with its labels, its resourceVersion and `sealed`, the encrypted object.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Error;
use crate::object::{self, Halves, Object};
use crate::status::{Result, Status};

/// Seals and opens Secrets with one key.
pub(crate) struct Sealer(RandomizedNonceKey);

impl Sealer {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, Error> {
        RandomizedNonceKey::new(&AES_256_GCM, key)
            .map(Self)
            .map_err(|_| Error::Random)
    }

    /// The text to store for a Secret. It can only be opened under the same namespace and name.
    pub(crate) fn seal(&self, secret: &Object) -> Result<Halves> {
        let mut bytes = object::encode(secret).into_bytes();
        let aad = Aad::from(place(
            object::meta(secret, "namespace"),
            object::meta(secret, "name"),
        ));
        let nonce = self
            .0
            .seal_in_place_append_tag(aad, &mut bytes)
            .map_err(|_| Status::internal("a Secret cannot be sealed"))?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        let mut outer = Object::new();
        let labels = object::metadata(secret).get("labels");
        let labels = labels.cloned().unwrap_or_else(|| json!({}));
        outer.insert("metadata".into(), json!({"labels": labels}));
        outer.insert("sealed".into(), STANDARD.encode(sealed).into());
        Ok(Halves::of(&outer))
    }

    /// The Secret in a stored text.
    pub(crate) fn open(&self, namespace: &str, name: &str, text: &str) -> Result<Object> {
        let outer = object::parse(text)?;
        let mut secret = self.decrypt(namespace, name, &outer).ok_or_else(|| {
            Status::internal(format!(
                "Secret {namespace}/{name} cannot be opened: the data folder holds another key than the one it was sealed with"
            ))
        })?;
        let version = object::meta(&outer, "resourceVersion").into();
        object::metadata_mut(&mut secret).insert("resourceVersion".into(), version);
        Ok(secret)
    }

    fn decrypt(&self, namespace: &str, name: &str, outer: &Object) -> Option<Object> {
        let sealed = outer.get("sealed").and_then(Value::as_str)?;
        let mut sealed = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(place(namespace, name));
        let plain = self.0.open_in_place(nonce, aad, text).ok()?;
        serde_json::from_slice(plain).ok()
    }
}

fn place(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_with_its_key_and_in_its_place() {
        let secret = json!({
            "kind": "Secret", "data": {"k": "dG9wIHNlY3JldA=="},
            "metadata": {"name": "s", "namespace": "default", "labels": {"a": "b"}},
        });
        let secret = secret.as_object().unwrap();
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let text = sealer.seal(secret).unwrap().with_version(9);
        assert!(!text.contains("dG9wIHNlY3JldA=="));
        assert!(text.contains(r#""a":"b""#), "selectors need the labels");
        let opened = sealer.open("default", "s", &text).unwrap();
        assert_eq!(opened["data"], secret["data"]);
        assert_eq!(object::meta(&opened, "resourceVersion"), "9");
        assert!(sealer.open("default", "other", &text).is_err());
        let other = Sealer::new(&[8; 32]).unwrap();
        assert!(other.open("default", "s", &text).is_err());
    }
}
