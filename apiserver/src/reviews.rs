//! Reviews of access and identity. Whoever holds the token may do everything, and the answers say so.

use serde_json::{Value, json};

use crate::catalog::Resource;
use crate::front::reply::Reply;
use crate::object::Object;

const REASON: &str = "this server enforces no RBAC: its token may do everything";

/// Answers a review: 201 with its status filled in.
pub(crate) fn answer(resource: &Resource, mut review: Object) -> Reply {
    let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    let status = match resource.kind.as_str() {
        "SelfSubjectRulesReview" => json!({
            "resourceRules": everything,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        "SelfSubjectReview" => json!({
            "userInfo": {"username": "ark", "groups": ["system:masters", "system:authenticated"]},
        }),
        _ => json!({"allowed": true, "reason": REASON}),
    };
    review.insert("status".into(), status);
    Reply::value(201, &Value::Object(review))
}
