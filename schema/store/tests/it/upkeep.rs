//! What must be found again, and what must go.

use std::time::Duration;

use ark_plan::{Class, Phase};
use ark_store::testing::database;
use ark_store::{Fenced, NewStep, StepKind, Upkeep};
use sqlx::{Connection, PgConnection};

use crate::{claim, done, final_phases, finish, new, worker};

#[tokio::test]
async fn plans_go_an_hour_after_their_last_use_and_never_under_an_execution() {
    let database = database().await;
    let store = &database.store;
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let count = "select count(*) from queue.plans";
    let age = "update queue.plans set created_at = clock_timestamp() - interval '2 hours'";
    store.enqueue(&[new("default", "q")]).await.unwrap();
    sqlx::raw_sql(age).execute(&mut sql).await.unwrap();
    store.upkeep(Upkeep::Purge).await.unwrap();
    let plans: i64 = sqlx::query_scalar(count).fetch_one(&mut sql).await.unwrap();
    assert_eq!(plans, 1, "an execution uses it");

    sqlx::raw_sql("delete from queue.executions")
        .execute(&mut sql)
        .await
        .unwrap();
    // Used again by an enqueue: noted as such.
    store.enqueue(&[new("default", "r")]).await.unwrap();
    sqlx::raw_sql("delete from queue.executions")
        .execute(&mut sql)
        .await
        .unwrap();
    assert_eq!(store.upkeep(Upkeep::Purge).await.unwrap().changed, 0);
    sqlx::raw_sql(age).execute(&mut sql).await.unwrap();
    assert_eq!(store.upkeep(Upkeep::Purge).await.unwrap().changed, 1);
    let plans: i64 = sqlx::query_scalar(count).fetch_one(&mut sql).await.unwrap();
    assert_eq!(plans, 0);
}

/// A connection that broke while its commit went through: the second try waits for the first and must see it.
#[tokio::test]
async fn a_step_is_committed_also_if_its_first_try_commits_while_the_second_waits() {
    let database = database().await;
    let store = &database.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    let run = claim(store, worker(store).await, 1).await.remove(0);
    let step = NewStep {
        execution: run.execution,
        run_token: run.run_token,
        path: "turn.1".into(),
        kind: StepKind::Reply,
        request_hash: [1; 32],
        body: "{}".into(),
        usage: Default::default(),
    };
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let mut first = sql.begin().await.unwrap();
    sqlx::query(
        "insert into queue.steps (execution, path, kind, run_token, request_hash, body, usage)
         values ($1, 'turn.1', 1, $2, '\\x01', '{}', '{}')",
    )
    .bind(run.execution)
    .bind(run.run_token)
    .execute(&mut *first)
    .await
    .unwrap();
    let again = store.clone();
    let second = tokio::spawn(async move { again.commit_steps(&[step]).await.unwrap() });
    let mut watcher = PgConnection::connect(&database.url).await.unwrap();
    let waits = "select exists (select from pg_stat_activity where datname = current_database()
                 and wait_event_type = 'Lock')";
    let mut is_waiting = false;
    while !is_waiting {
        is_waiting = sqlx::query_scalar(waits)
            .fetch_one(&mut watcher)
            .await
            .unwrap();
    }
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), [Fenced::Committed]);
}

#[tokio::test]
async fn what_a_process_claimed_while_it_left_is_taken_over() {
    let store = database().await.store;
    store.enqueue(&[new("default", "q")]).await.unwrap();
    let (left, next) = (worker(&store).await, worker(&store).await);
    let runs = claim(&store, left, 1).await;
    store.deregister(left).await.unwrap();
    assert!(store.workers().await.unwrap().len() == 1, "nobody sees it");
    assert_eq!(store.upkeep(Upkeep::Reap).await.unwrap().changed, 1);
    let again = claim(&store, next, 1).await;
    assert_eq!(again[0].execution, runs[0].execution);
}

#[tokio::test]
async fn what_arrives_after_its_deadline_expires_without_a_worker() {
    let store = database().await.store;
    // The bound of the look-up has moved on.
    store.upkeep(Upkeep::Expire).await.unwrap();
    let mut late = new("default", "late");
    late.created_at -= chrono::TimeDelta::hours(1);
    late.timeout = Duration::from_secs(60);
    store.enqueue(&[late]).await.unwrap();
    while store.upkeep(Upkeep::Expire).await.unwrap().changed == 0 {}
    assert_eq!(
        final_phases(&store).await,
        [("late".into(), Phase::Error, Some(Class::TimedOutInQueue))]
    );
}

#[tokio::test]
async fn a_resumed_execution_that_has_ended_is_not_looked_at_for_ever() {
    let database = database().await;
    let store = &database.store;
    let mut short = new("default", "q");
    short.timeout = Duration::from_millis(400);
    store.enqueue(&[short]).await.unwrap();
    let worker = worker(store).await;
    let run = claim(store, worker, 1).await.remove(0);
    let retry = ark_store::Retry {
        execution: run.execution,
        run_token: run.run_token,
        delay: Duration::ZERO,
        attempt_counts: true,
    };
    store.retry_later(&[retry]).await.unwrap();
    store.upkeep(Upkeep::Promote).await.unwrap();
    let run = claim(store, worker, 1).await.remove(0);
    store.finish(&[finish(&run, done("ok"))]).await.unwrap();
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let count = "select count(*) from queue.resumed";
    let left = async || -> i64 {
        let mut sql = PgConnection::connect(&database.url).await.unwrap();
        sqlx::query_scalar(count).fetch_one(&mut sql).await.unwrap()
    };
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut sql).await.unwrap();
    assert_eq!(before, 1);
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while left().await > 0 {
            store.upkeep(Upkeep::Expire).await.unwrap();
        }
    });
    gone.await.expect("it goes when its time is over");
}
