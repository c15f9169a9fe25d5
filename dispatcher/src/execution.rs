//! The row that the queue gets for a Query.

use std::sync::Arc;

use ark_api::Query;
use ark_plan::resolve::{self, Bounds, Resolved};
use ark_plan::{FORMAT, Input};
use ark_store::{NewExecution, NewPlan};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::decide::Seen;

/// The row of a Query without plan or outcome, which any JSON can have.
pub(crate) fn bare(uid: Uuid, query: &Value) -> NewExecution {
    let seen = Seen::of(query);
    let typed: Option<Query> = serde_json::from_value(query.clone()).ok();
    let bounds = typed
        .as_ref()
        .and_then(|query| resolve::bounds(query).ok())
        .unwrap_or_default();
    let input = typed.as_ref().map(resolve::bare_input).unwrap_or_default();
    let text = |name: &str| {
        query["metadata"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    NewExecution {
        uid,
        round: 0,
        namespace: text("namespace"),
        name: text("name"),
        plan: None,
        input: input_text(&input),
        scope: 0,
        class: resolve::class(5, bounds.timeout),
        created_at: created_at(query),
        timeout: bounds.timeout,
        ttl: seen.ttl.unwrap_or(bounds.ttl),
        resource_version: query["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned),
        trace: Some(ark_api::trace::traceparent(uid)),
        canceled: seen.cancel,
        outcome: None,
    }
}

/// The row with its plan.
pub(crate) fn with_plan(bare: NewExecution, resolved: &Resolved) -> NewExecution {
    let Bounds { timeout, ttl } = resolved.bounds;
    let body = serde_json::to_string(&resolved.plan).expect("a plan is plain data");
    NewExecution {
        plan: Some(Arc::new(NewPlan {
            hash: ark_plan::hash(&body),
            format: FORMAT,
            body,
        })),
        input: input_text(&resolved.input),
        scope: resolved.scope,
        class: resolved.class,
        timeout,
        ttl,
        ..bare
    }
}

fn input_text(input: &Input) -> String {
    serde_json::to_string(input).expect("an input is plain data")
}

fn created_at(query: &Value) -> DateTime<Utc> {
    let text = query["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap_or_default();
    DateTime::parse_from_rfc3339(text).map_or_else(|_| Utc::now(), |time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn any_json_makes_a_row() {
        let uid = Uuid::new_v4();
        let odd = json!({"metadata": {"name": "q", "namespace": "n", "creationTimestamp": "2026-01-02T03:04:05Z"},
                         "spec": {"timeout": 5, "input": ["x"], "cancel": true}});
        let row = bare(uid, &odd);
        assert_eq!(
            (row.uid, row.namespace.as_str(), row.name.as_str()),
            (uid, "n", "q")
        );
        assert_eq!(row.created_at.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert_eq!(row.timeout, Duration::from_secs(300));
        assert_eq!(row.ttl, Duration::from_secs(720 * 3600));
        assert!(row.canceled && row.plan.is_none());
        let input: Input = serde_json::from_str(&row.input).unwrap();
        assert_eq!(input.text, "");
    }
}
