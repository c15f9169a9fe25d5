//! The store against a real Postgres.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod lease;
mod lifecycle;
mod objects;
mod races;
mod report;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Class, Outcome, Phase};
use ark_store::{Finish, NewExecution, NewPlan, Run, Store};
use uuid::Uuid;

pub const INPUT: &str = r#"{"targetType":"agent","targetName":"a","text":"hello"}"#;

/// An execution of a namespace with a plan, priority 5 and five minutes.
pub fn new(namespace: &str, name: &str) -> NewExecution {
    let body = "{}".to_owned();
    NewExecution {
        uid: Uuid::new_v4(),
        round: 0,
        namespace: namespace.into(),
        name: name.into(),
        plan: Some(Arc::new(NewPlan {
            hash: ark_plan::hash(&body),
            format: ark_plan::FORMAT,
            body,
        })),
        input: INPUT.into(),
        scope: 7,
        class: 57,
        created_at: chrono::Utc::now(),
        timeout: Duration::from_secs(300),
        ttl: Duration::from_secs(3600),
        resource_version: None,
        trace: None,
        canceled: false,
        outcome: None,
    }
}

pub fn done(text: &str) -> Outcome {
    Outcome {
        phase: Phase::Done,
        class: None,
        content: text.into(),
        ..Outcome::canceled()
    }
}

/// A registered incarnation.
pub async fn worker(store: &Store) -> Uuid {
    let incarnation = Uuid::new_v4();
    store.register(incarnation, "test", 10).await.unwrap();
    incarnation
}

pub async fn claim(store: &Store, incarnation: Uuid, want: i64) -> Vec<Run> {
    store
        .claim(incarnation, Uuid::new_v4(), want, ark_plan::FORMAT, &[])
        .await
        .unwrap()
        .runs
}

pub fn finish(run: &Run, outcome: Outcome) -> Finish {
    Finish {
        execution: run.execution,
        run_token: run.run_token,
        outcome,
    }
}

/// The final reports that are due, by name, with what they say.
pub async fn final_phases(store: &Store) -> Vec<(String, Phase, Option<Class>)> {
    let token = Uuid::new_v4();
    let reports = store
        .claim_reports(
            token,
            ark_store::Progress::Terminal,
            1000,
            Duration::from_secs(30),
        )
        .await
        .unwrap();
    let mut phases: Vec<_> = reports
        .iter()
        .map(|report| match &report.facts.stage {
            ark_plan::status::Stage::Ended(outcome) => {
                (report.name.clone(), outcome.phase, outcome.class)
            }
            other => panic!("a final report shows {other:?}"),
        })
        .collect();
    phases.sort_by(|a, b| a.0.cmp(&b.0));
    let executions: Vec<i64> = reports.iter().map(|report| report.execution).collect();
    store
        .report_failed(token, &executions, Duration::ZERO)
        .await
        .unwrap();
    phases
}
