//! What is to be done about one report, and what became of it. Pure.

use serde_json::Value;

use crate::queries::Query;

/// What became of one report.
#[derive(Debug, PartialEq)]
pub(crate) enum Delivery {
    /// The status says it; the Query's version since then.
    Written(Option<String>),
    /// The Query is gone or another one has its name.
    Gone,
    /// Somebody else has taken the report over.
    TakenOver,
    /// Not now.
    Failed,
}

impl Delivery {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Delivery::Written(_) => "written",
            Delivery::Gone => "gone",
            Delivery::TakenOver => "taken_over",
            Delivery::Failed => "failed",
        }
    }
}

/// What to do after reading the Query.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Patch(String),
    Settled(Delivery),
}

/// Decides with the Query as it is: by uid first, then by what its status says already.
pub(crate) fn next(query: Query, uid: &str, wanted: &Value) -> Next {
    if query.uid != uid {
        return Next::Settled(Delivery::Gone);
    }
    let phase = |status: &Value| {
        status
            .get("phase")
            .and_then(Value::as_str)
            .map(is_terminal)
            .unwrap_or(false)
    };
    if says(&query.status, wanted) || (phase(&query.status) && !phase(wanted)) {
        return Next::Settled(Delivery::Written(Some(query.resource_version)));
    }
    Next::Patch(query.resource_version)
}

fn is_terminal(phase: &str) -> bool {
    matches!(phase, "done" | "error" | "canceled")
}

/// Whether a merge of `wanted` would change nothing.
fn says(status: &Value, wanted: &Value) -> bool {
    match wanted.as_object() {
        Some(fields) => fields
            .iter()
            .all(|(name, value)| status.get(name) == Some(value)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(status: Value) -> Query {
        Query {
            uid: "u".into(),
            resource_version: "7".into(),
            status,
        }
    }

    #[test]
    fn another_object_under_the_name_is_never_touched() {
        assert_eq!(
            next(query(Value::Null), "other", &json!({"phase": "done"})),
            Next::Settled(Delivery::Gone)
        );
    }

    #[test]
    fn what_stands_is_not_written_again() {
        let standing = json!({"phase": "done", "conditions": [], "extra": 1});
        let settled = Next::Settled(Delivery::Written(Some("7".into())));
        assert_eq!(
            next(
                query(standing.clone()),
                "u",
                &json!({"phase": "done", "conditions": []})
            ),
            settled
        );
        assert_eq!(
            next(query(standing), "u", &json!({"phase": "running"})),
            settled
        );
        assert_eq!(
            next(
                query(json!({"phase": "running"})),
                "u",
                &json!({"phase": "done"})
            ),
            Next::Patch("7".into())
        );
        assert_eq!(
            next(query(Value::Null), "u", &json!({"phase": "queued"})),
            Next::Patch("7".into())
        );
    }
}
