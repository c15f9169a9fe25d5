//! Reviews of access and identity. Whoever holds the token may do everything, and the answers say so.

use serde_json::json;

use crate::catalog::Resource;
use crate::front::authenticate::User;
use crate::object::Object;

const REASON: &str = "this server enforces no RBAC: its token may do everything";

/// The review with its status filled in.
pub(crate) fn answer(resource: &Resource, mut review: Object, user: &User) -> Object {
    let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    let status = match resource.kind.as_str() {
        "SelfSubjectRulesReview" => json!({
            "resourceRules": everything,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        "SelfSubjectReview" => json!({
            "userInfo": {"username": user.name(), "groups": user.groups()},
        }),
        _ => json!({"allowed": true, "reason": REASON}),
    };
    review.insert("status".into(), status);
    review
}
