//! A document that does not change while the server runs, sent with its hash so that clients keep it.

use http::header::{ETAG, HeaderMap, IF_NONE_MATCH, VARY};
use serde_json::Value;
use sha2::{Digest, Sha512};

use crate::front::reply::Reply;

/// The text and the hexadecimal SHA-512 of it, which is its entity tag.
pub(crate) struct Document {
    text: String,
    pub(crate) hash: String,
}

impl Document {
    pub(crate) fn new(value: &Value) -> Self {
        let text = value.to_string();
        let digest = Sha512::digest(text.as_bytes());
        let hash = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Self { text, hash }
    }

    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    /// The document, or 304 for a client that has it.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Reply {
        let etag = self.etag();
        let known = headers
            .get(IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok());
        let reply = if known == Some(etag.as_str()) {
            Reply::json(304, String::new())
        } else {
            Reply::json(200, self.text.clone())
        };
        reply.with_header(ETAG, &etag).with_header(VARY, "Accept")
    }
}
