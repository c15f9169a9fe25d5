//! Executions that need nothing done: 1 KiB goes in, 1 KiB comes out.

use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Input, Outcome, Phase, Usage};
use ark_store::NewExecution;
use ark_store::NewPlan;
use chrono::Utc;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The size of an input's and of an outcome's JSON text, in bytes.
const SIZE: usize = 1024;

/// Long enough that nothing expires while it is measured.
const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
const TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The quota that all of them share.
const SCOPE: i64 = 1;

/// The plan that all of them share, as 5,000 queries to one agent do.
pub(super) fn plan() -> Arc<NewPlan> {
    let body = r#"{"target":{"type":"noop"}}"#.to_owned();
    Arc::new(NewPlan {
        hash: ark_plan::hash(&body),
        format: ark_plan::FORMAT,
        body,
    })
}

/// The execution with this number.
pub(super) fn execution(number: u64, plan: &Arc<NewPlan>, namespaces: u32) -> NewExecution {
    let uid = Uuid::new_v4();
    let mut input = Input {
        target_type: "agent".to_owned(),
        target_name: "noop".to_owned(),
        ..Input::default()
    };
    input.text = filler(uid, SIZE - json(&input).len());
    NewExecution {
        uid,
        round: 0,
        namespace: format!("bench-{}", number % u64::from(namespaces)),
        name: format!("query-{number}"),
        plan: Some(Arc::clone(plan)),
        input: json(&input),
        scope: SCOPE,
        class: ark_plan::resolve::class(5, TIMEOUT),
        created_at: Utc::now(),
        timeout: TIMEOUT,
        ttl: TTL,
        resource_version: None,
        trace: None,
        canceled: false,
        outcome: None,
    }
}

/// What the execution of this Query comes to.
pub(super) fn outcome(uid: Uuid) -> Outcome {
    let mut outcome = Outcome {
        phase: Phase::Done,
        class: None,
        content: String::new(),
        messages: Vec::new(),
        usage: Usage::default(),
        warnings: Vec::new(),
    };
    outcome.content = filler(uid, SIZE - json(&outcome).len());
    outcome
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// Text that differs from execution to execution and compresses badly.
fn filler(uid: Uuid, length: usize) -> String {
    let mut text = String::with_capacity(length + 64);
    let mut block = Sha256::digest(uid.as_bytes());
    while text.len() < length {
        text.push_str(&hex::encode(block));
        block = Sha256::digest(block);
    }
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kibibyte_goes_in_and_a_kibibyte_comes_out() {
        let execution = execution(7, &plan(), 3);
        assert_eq!(execution.input.len(), SIZE);
        assert_eq!(execution.namespace, "bench-1");
        assert_eq!(json(&outcome(execution.uid)).len(), SIZE);
    }
}
