//! The way of an execution without accidents, and with bad data.

use std::time::Duration;

use ark_plan::{Class, Outcome, Phase, Usage};
use ark_store::testing::database;
use ark_store::{Enqueued, Error, Fenced, Intent, Look, NewStep, Retry, StepKind, Upkeep};
use uuid::Uuid;

use crate::{claim, done, final_phases, finish, new, worker};

#[tokio::test]
async fn an_execution_goes_from_enqueue_to_outcome_once() {
    let store = database().await.store;
    let query = new("default", "q");
    assert_eq!(
        store.enqueue(std::slice::from_ref(&query)).await.unwrap(),
        vec![Enqueued::New]
    );
    let again = store.enqueue(std::slice::from_ref(&query)).await.unwrap();
    assert!(matches!(&again[0], Enqueued::Existing(e) if e.outcome_phase.is_none()));

    let w = worker(&store).await;
    let runs = claim(&store, w, 10).await;
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (runs[0].uid, runs[0].attempt, runs[0].resumed),
        (query.uid, 1, false)
    );
    assert!(runs[0].remaining > Duration::from_secs(290));
    assert_eq!(store.claimed(w, runs[0].run_token).await.unwrap().len(), 1);
    assert_eq!(store.plans(&[runs[0].plan]).await.unwrap()[0].2, "{}");

    let last = finish(&runs[0], done("hi"));
    assert_eq!(
        store.finish(std::slice::from_ref(&last)).await.unwrap(),
        vec![Fenced::Committed]
    );
    assert_eq!(
        store.finish(&[last]).await.unwrap(),
        vec![Fenced::Committed],
        "a repeated write is a success"
    );
    assert_eq!(
        final_phases(&store).await,
        vec![("q".into(), Phase::Done, None)]
    );
    let again = store.enqueue(&[query]).await.unwrap();
    assert!(matches!(&again[0], Enqueued::Existing(e) if e.outcome_phase == Some(Phase::Done)));
}

#[tokio::test]
async fn lanes_share_and_keep_their_order() {
    let store = database().await.store;
    let mut batch: Vec<_> = (0..40).map(|n| new("busy", &format!("b{n:02}"))).collect();
    batch.push(new("quiet", "first"));
    let mut urgent = new("busy", "urgent");
    urgent.class = 41;
    batch.push(urgent);
    store.enqueue(&batch).await.unwrap();
    let w = worker(&store).await;
    let claimed = store
        .claim(w, Uuid::new_v4(), 4, ark_plan::FORMAT, &[])
        .await
        .unwrap();
    assert_eq!(claimed.more, Look::Full);
    let names: Vec<&str> = claimed.runs.iter().map(|run| run.name.as_str()).collect();
    assert!(
        names.contains(&"first"),
        "a busy namespace does not delay another's first query: {names:?}"
    );
    assert_eq!(
        names
            .iter()
            .filter(|name| **name != "first")
            .copied()
            .collect::<Vec<_>>(),
        ["urgent", "b00", "b01"]
    );
    assert!(
        claim(&store, w, 100)
            .await
            .iter()
            .all(|run| run.namespace == "busy")
    );
    let closed = store
        .claim(w, Uuid::new_v4(), 4, ark_plan::FORMAT, &[7])
        .await
        .unwrap();
    assert_eq!((closed.runs.len(), closed.more), (0, Look::Empty));
}

#[tokio::test]
async fn steps_are_committed_once_and_fenced() {
    let store = database().await.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    let w = worker(&store).await;
    let run = claim(&store, w, 1).await.remove(0);
    let step = NewStep {
        execution: run.execution,
        run_token: run.run_token,
        path: "turn.1".into(),
        kind: StepKind::Reply,
        request_hash: [1; 32],
        body: r#"{"text":"\u0000 is kept"}"#.into(),
        usage: Usage {
            prompt_tokens: 3,
            completion_tokens: 4,
            total_tokens: 7,
            cached_tokens: 0,
        },
    };
    let foreign = NewStep {
        run_token: Uuid::new_v4(),
        path: "turn.2".into(),
        ..step.clone()
    };
    let fenced = store.commit_steps(&[step.clone(), foreign]).await.unwrap();
    assert_eq!(fenced, vec![Fenced::Committed, Fenced::Stop(Intent::Lost)]);
    assert_eq!(
        store
            .commit_steps(std::slice::from_ref(&step))
            .await
            .unwrap(),
        vec![Fenced::Committed]
    );
    let steps = store.steps(&[run.execution]).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(
        (steps[0].body.as_str(), steps[0].usage.total_tokens),
        (step.body.as_str(), 7)
    );
    let paths = ["turn.1".to_owned()];
    assert_eq!(
        store
            .discard_steps(run.execution, run.run_token, &paths)
            .await
            .unwrap(),
        Fenced::Committed
    );
    assert!(store.steps(&[run.execution]).await.unwrap().is_empty());
    store.cancel(&[run.uid]).await.unwrap();
    assert_eq!(
        store.commit_steps(&[step]).await.unwrap(),
        vec![Fenced::Stop(Intent::Cancel)]
    );
}

#[tokio::test]
async fn a_retry_waits_and_keeps_its_deadline() {
    let store = database().await.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    let w = worker(&store).await;
    let run = claim(&store, w, 1).await.remove(0);
    let retry = Retry {
        execution: run.execution,
        run_token: run.run_token,
        delay: Duration::from_millis(50),
        attempt_counts: true,
    };
    assert_eq!(
        store.retry_later(&[retry]).await.unwrap(),
        vec![Fenced::Committed]
    );
    assert_eq!(
        store.retry_later(&[retry]).await.unwrap(),
        vec![Fenced::Stop(Intent::Lost)]
    );
    assert_eq!(store.totals().await.unwrap().scheduled, 1);
    while store.upkeep(Upkeep::Promote).await.unwrap().changed == 0 {
        tokio::task::yield_now().await;
    }
    let again = claim(&store, w, 1).await.remove(0);
    assert_eq!((again.attempt, again.resumed), (2, true));
    assert!(again.class < 40, "what was started comes first");
    assert!(again.remaining < run.remaining);
    let hopeless = Retry {
        run_token: again.run_token,
        delay: Duration::from_secs(3600),
        ..retry
    };
    store.retry_later(&[hopeless]).await.unwrap();
    let ended = final_phases(&store).await;
    assert_eq!(
        ended,
        vec![("q".into(), Phase::Error, Some(Class::TimedOutInExecution))]
    );
}

#[tokio::test]
async fn what_is_given_back_keeps_its_place() {
    let store = database().await.store;
    store
        .enqueue(&[
            new("default", "a"),
            new("default", "b"),
            new("default", "c"),
        ])
        .await
        .unwrap();
    let w = worker(&store).await;
    let runs = claim(&store, w, 2).await;
    let keys: Vec<_> = runs
        .iter()
        .map(|run| (run.execution, run.run_token))
        .collect();
    assert_eq!(
        store.give_back(&keys).await.unwrap(),
        vec![Fenced::Committed; 2]
    );
    let names: Vec<String> = claim(&store, w, 3)
        .await
        .into_iter()
        .map(|run| run.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_deadline_ends_what_waits() {
    let store = database().await.store;
    let mut late = new("default", "late");
    late.timeout = Duration::from_millis(1);
    store
        .enqueue(&[late, new("default", "early")])
        .await
        .unwrap();
    while store.upkeep(Upkeep::Expire).await.unwrap().changed == 0 {
        tokio::task::yield_now().await;
    }
    let ended = final_phases(&store).await;
    assert_eq!(
        ended,
        vec![("late".into(), Phase::Error, Some(Class::TimedOutInQueue))]
    );
    let w = worker(&store).await;
    let names: Vec<String> = claim(&store, w, 5)
        .await
        .into_iter()
        .map(|run| run.name)
        .collect();
    assert_eq!(names, ["early"], "the claim drops the stale row");
    assert_eq!(store.totals().await.unwrap().ready, 0);
}

#[tokio::test]
async fn one_bad_value_harms_only_its_owner() {
    let store = database().await.store;
    let mut bad = new("default", "bad");
    bad.trace = Some("nul \0 cannot be stored".into());
    let batch = [new("default", "a"), bad, new("default", "b")];
    assert_eq!(store.enqueue(&batch).await.unwrap(), vec![Enqueued::New; 3]);
    let ended = final_phases(&store).await;
    assert_eq!(
        ended,
        vec![("bad".into(), Phase::Error, Some(Class::Unstorable))]
    );
    let w = worker(&store).await;
    assert_eq!(claim(&store, w, 5).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_planned_ends_in_its_insert() {
    let store = database().await.store;
    let mut unplanned = new("default", "u");
    unplanned.plan = None;
    unplanned.outcome = Some(Outcome::error(
        Class::Configuration,
        "model default/m is not there",
    ));
    let mut canceled = new("default", "v");
    canceled.canceled = true;
    store.enqueue(&[unplanned, canceled]).await.unwrap();
    let ended = final_phases(&store).await;
    assert_eq!(
        ended,
        vec![
            ("u".into(), Phase::Error, Some(Class::Configuration)),
            ("v".into(), Phase::Canceled, None)
        ]
    );
}

#[tokio::test]
async fn a_database_without_migrations_is_refused() {
    let db = database().await;
    db.store.check().await.unwrap();
    let empty = db.url.replacen(
        db.url.split('/').nth(3).unwrap().split('?').next().unwrap(),
        "postgres",
        1,
    );
    let store = ark_store::Store::connect(&empty, Default::default())
        .await
        .unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, Error::SchemaOld { missing: 1 }), "{error}");
    assert!(error.to_string().contains("ark migrate"));
}
