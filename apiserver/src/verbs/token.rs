//! POST to a ServiceAccount's `token`: a token with which somebody can act as that account.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::admit::decode;
use crate::catalog;
use crate::credentials::service_accounts::{AUDIENCE, Account};
use crate::front::options::WriteOptions;
use crate::front::reply::Reply;
use crate::front::request::Request;
use crate::front::route::Target;
use crate::object::{self, Object};
use crate::server::Server;
use crate::status::{FieldError, Result, Status};

const HOUR: i64 = 3600;
const SHORTEST: i64 = 10 * 60;
const LONGEST: i64 = 1 << 32;
const UNLIMITED: &str = "this server enforces no RBAC: the holder of this token may do everything";

/// Answers a TokenRequest: 201 with the token in its status.
pub(crate) async fn create(server: &Server, request: &Request, target: &Target) -> Result<Reply> {
    let kind = catalog::token_requests();
    let options = WriteOptions::parse(&request.query, "CreateOptions")?;
    let renderer = request.renderer(kind)?;
    let (mut value, duplicates) = decode::body(kind, request)?;
    let findings = decode::prune(kind, &mut value, duplicates)?;
    let mut warnings = decode::judge(kind, options.field_validation, findings)?;
    let within = Target {
        resource: kind,
        ..target.clone()
    };
    object::default_name(&mut value, &target.name);
    let mut asked = decode::check_identity(&within, value)?;
    let spec = asked.get("spec").cloned().unwrap_or_default();
    let seconds = lifetime(&spec, &target.name)?;
    let current = server.current(target).await?;
    let account = Account {
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        uid: object::meta(&current.object, "uid").to_owned(),
    };
    let audiences = audiences(&spec);
    let now = Utc::now();
    let expires = now + TimeDelta::seconds(seconds);
    let token = server.service_accounts.issue(
        &account,
        audiences.clone(),
        now.timestamp(),
        expires.timestamp(),
    );
    asked.insert(
        "spec".into(),
        json!({"audiences": audiences, "expirationSeconds": seconds}),
    );
    let expires = expires.to_rfc3339_opts(SecondsFormat::Secs, true);
    let status = json!({"token": token, "expirationTimestamp": expires});
    complete(&mut asked, status);
    warnings.push(UNLIMITED.to_owned());
    Reply::created()
        .with_warnings(warnings)
        .rendered(renderer, object::encode(&asked))
}

fn complete(request: &mut Object, status: Value) {
    request.insert("status".into(), status);
    let now = crate::admit::now();
    object::metadata_mut(request).insert("creationTimestamp".into(), now.into());
}

fn audiences(spec: &Value) -> Vec<String> {
    let named = spec["audiences"].as_array().into_iter().flatten();
    let named: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
    if named.is_empty() {
        vec![AUDIENCE.to_owned()]
    } else {
        named
    }
}

/// How long the token is to be valid, in seconds.
fn lifetime(spec: &Value, name: &str) -> Result<i64> {
    let invalid = |cause: FieldError| {
        Status::invalid("authentication.k8s.io", "TokenRequest", name, &[cause])
    };
    if !spec["boundObjectRef"].is_null() {
        let why = "this server binds tokens to their ServiceAccount only";
        return Err(invalid(FieldError::forbidden("spec.boundObjectRef", why)));
    }
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(HOUR);
    let why = if seconds < SHORTEST {
        "may not specify a duration less than 10 minutes"
    } else if seconds > LONGEST {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(seconds);
    };
    Err(invalid(FieldError::invalid(
        "spec.expirationSeconds",
        &seconds.into(),
        why,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_bounds() {
        assert_eq!(lifetime(&json!({}), "n").unwrap(), 3600);
        assert_eq!(
            lifetime(&json!({"expirationSeconds": 600}), "n").unwrap(),
            600
        );
        for refused in [
            json!({"expirationSeconds": 599}),
            json!({"expirationSeconds": (1i64 << 32) + 1}),
            json!({"boundObjectRef": {"kind": "Pod"}}),
        ] {
            assert_eq!(lifetime(&refused, "n").unwrap_err().code, 422);
        }
    }
}
