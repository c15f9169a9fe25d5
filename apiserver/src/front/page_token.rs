//! The token with which a client asks for the next page of a list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::status::{Result, Status};

/// Where the next page of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Continue {
    /// The version of every page; None: the newest, with gaps, after the first page's expired.
    pub(crate) version: Option<i64>,
    pub(crate) after: (String, String),
}

#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

impl Continue {
    pub(crate) fn encode(&self) -> String {
        let (namespace, name) = &self.after;
        let token = Token {
            v: "meta.k8s.io/v1".to_owned(),
            rv: self.version.unwrap_or(-1),
            start: format!("{namespace}/{name}\0"),
        };
        URL_SAFE_NO_PAD.encode(serde_json::json!(token).to_string())
    }

    pub(crate) fn decode(text: &str) -> Result<Self> {
        let broken = |why: &dyn std::fmt::Display| {
            Status::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|e| broken(&e))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|e| broken(&e))?;
        let start = token.start.strip_suffix('\0').unwrap_or(&token.start);
        let (namespace, name) = start
            .split_once('/')
            .filter(|_| token.v == "meta.k8s.io/v1" && token.rv != 0)
            .ok_or_else(|| broken(&"it was not made by this server"))?;
        Ok(Self {
            version: (token.rv > 0).then_some(token.rv),
            after: (namespace.to_owned(), name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continue_token_comes_back() {
        let token = Continue {
            version: Some(101),
            after: ("default".into(), "q7".into()),
        };
        assert_eq!(Continue::decode(&token.encode()).unwrap(), token);
        let inconsistent = Continue {
            version: None,
            ..token
        };
        let again = Continue::decode(&inconsistent.encode()).unwrap();
        assert_eq!(again, inconsistent);
        assert_eq!(Continue::decode("xx").unwrap_err().code, 400);
    }
}
