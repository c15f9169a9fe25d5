//! Tokens of ServiceAccounts: signed, bound to the account's uid, valid for a limited time, stored nowhere.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Whom tokens without an audience of their own are for: this server.
pub(crate) const AUDIENCE: &str = "https://kubernetes.default.svc";
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Whom a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Account {
    pub(crate) fn username(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

/// Signs tokens and recognises its own; servers that share a data folder share the key.
pub(crate) struct Tokens(hmac::Key);

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Vec<String>,
    /// Seconds since 1970, as the next two.
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(rename = "kubernetes.io")]
    bound: Bound,
}

#[derive(Serialize, Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Named,
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    uid: String,
}

impl Tokens {
    /// The key is derived from one that the data folder keeps.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&secret, b"tokens of service accounts");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// A token for the account, valid from `now` to `expires`, in seconds since 1970.
    pub(crate) fn issue(
        &self,
        account: &Account,
        aud: Vec<String>,
        now: i64,
        expires: i64,
    ) -> String {
        let claims = Claims {
            iss: AUDIENCE.to_owned(),
            sub: account.username(),
            aud,
            iat: now,
            nbf: now,
            exp: expires,
            bound: Bound {
                namespace: account.namespace.clone(),
                serviceaccount: Named {
                    name: account.name.clone(),
                    uid: account.uid.clone(),
                },
            },
        };
        let claims = serde_json::json!(claims).to_string();
        let signed = [HEADER, &claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The account of a token that this server signed for itself and that is valid `now`.
    pub(crate) fn verify(&self, token: &str, now: i64) -> Option<Account> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.0, signed.as_bytes(), &signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let valid = claims.nbf <= now && now < claims.exp;
        let meant = claims.aud.iter().any(|audience| audience == AUDIENCE);
        (valid && meant).then_some(Account {
            namespace: claims.bound.namespace,
            name: claims.bound.serviceaccount.name,
            uid: claims.bound.serviceaccount.uid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_tokens_in_their_time_count() {
        let account = Account {
            namespace: "default".into(),
            name: "builder".into(),
            uid: "u".into(),
        };
        let tokens = Tokens::new(&[7; 32]);
        let token = tokens.issue(&account, vec![AUDIENCE.into()], 1000, 1600);
        assert_eq!(tokens.verify(&token, 1000), Some(account.clone()));
        for now in [999, 1600] {
            assert_eq!(tokens.verify(&token, now), None);
        }
        assert_eq!(Tokens::new(&[8; 32]).verify(&token, 1000), None);
        let elsewhere = tokens.issue(&account, vec!["vault".into()], 1000, 1600);
        assert_eq!(tokens.verify(&elsewhere, 1000), None);
        let unsigned = token.rsplit_once('.').unwrap().0;
        assert_eq!(tokens.verify(&format!("{unsigned}."), 1000), None);
    }
}
