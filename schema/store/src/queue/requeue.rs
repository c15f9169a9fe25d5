//! A run that did not end: given back, tried again later, or taken over from the dead.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::beat::Intent;
use super::heads::{Lane, hold_heads};
use super::step::Fenced;
use crate::{Result, Store};

/// A run to be tried again after a pause.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The execution.
    pub execution: i64,
    /// The run's token.
    pub run_token: Uuid,
    /// The pause.
    pub delay: Duration,
    /// Whether this attempt counts against the allowed number.
    pub attempt_counts: bool,
}

/// An execution on its way back to its lane.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) execution: i64,
    /// Attempts that have ended.
    pub(super) attempt: i32,
    pub(super) takeovers: i16,
    /// First claim, if it has been started.
    pub(super) started_at: Option<DateTime<Utc>>,
    /// Its old place, for what had not been started.
    pub(super) seq: Option<i64>,
}

impl Store {
    /// Puts back what was claimed and not started, at its old place.
    pub async fn give_back(&self, runs: &[(i64, Uuid)]) -> Result<Vec<Fenced>> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let executions: Vec<i64> = runs.iter().map(|run| run.0).collect();
        let tokens: Vec<Uuid> = runs.iter().map(|run| run.1).collect();
        let mut tx = self.pool.begin().await?;
        // give_back: an execution that was started in an earlier run stays started.
        let rows = sqlx::query_as!(
            Waiting,
            r#"with gone as (
                   delete from queue.running
                   where (run_token, execution) in (select * from unnest($2::uuid[], $1::bigint[]))
                   returning *
               )
               select g.execution as "execution!", g.attempt - 1 as "attempt!", g.takeovers as "takeovers!",
                      s.started_at as "started_at?", g.seq as "seq?"
               from gone g left join queue.resumed s on s.execution = g.execution"#,
            &executions,
            &tokens,
        )
        .fetch_all(&mut *tx)
        .await?;
        let back: BTreeSet<i64> = rows.iter().map(|row| row.execution).collect();
        make_ready(&mut tx, rows).await?;
        tx.commit().await?;
        self.nudge(super::READY).await?;
        Ok(runs
            .iter()
            .map(|run| {
                if back.contains(&run.0) {
                    Fenced::Committed
                } else {
                    Fenced::Stop(Intent::Lost)
                }
            })
            .collect())
    }

    /// Moves runs to `scheduled`, from where they become ready when their pause is over. An execution with an intent or
    /// without time left ends instead.
    pub async fn retry_later(&self, batch: &[Retry]) -> Result<Vec<Fenced>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let executions: Vec<i64> = batch.iter().map(|retry| retry.execution).collect();
        let tokens: Vec<Uuid> = batch.iter().map(|retry| retry.run_token).collect();
        let delays: Vec<f64> = batch
            .iter()
            .map(|retry| retry.delay.as_secs_f64())
            .collect();
        let counts: Vec<bool> = batch.iter().map(|retry| retry.attempt_counts).collect();
        // retry_later: the execution's row is shared so that an intent is either seen here or sees the new place.
        let moved = sqlx::query_scalar!(
            r#"with input as materialized (
                   select * from unnest($1::bigint[], $2::uuid[], $3::double precision[], $4::boolean[])
                       as t (execution, run_token, delay, counts)
               ), intent as materialized (
                   select e.id, e.cancel_at, e.delete_at, e.timeout
                   from queue.executions e where e.id in (select execution from input)
                   order by e.id for share
               ), gone as (
                   delete from queue.running r using input i
                   where r.run_token = i.run_token and r.execution = i.execution
                   returning r.*, i.delay, i.counts
               ), judged as materialized (
                   select g.*, t.timeout,
                          case when t.cancel_at is not null or t.delete_at is not null then 'canceled'
                               when g.started_at + t.timeout <= clock_timestamp() + make_interval(secs => g.delay)
                                   then 'TimedOutInExecution' end as verdict
                   from gone g join intent t on t.id = g.execution
               ), waits as (
                   insert into queue.scheduled (due_at, seq, execution, attempt, takeovers)
                   select clock_timestamp() + make_interval(secs => delay), nextval('queue.ready_seq'), execution,
                          attempt - case when counts then 0 else 1 end, 0
                   from judged where verdict is null order by execution
               ), resumed as (
                   insert into queue.resumed (execution, started_at, run_until)
                   select execution, started_at, started_at + timeout from judged where verdict is null
                   on conflict (execution) do nothing
               ), ended as (
                   insert into queue.outcomes (execution, phase, class, started_at)
                   select execution, case when verdict = 'canceled' then 'canceled' else 'error' end,
                          nullif(verdict, 'canceled'), started_at
                   from judged where verdict is not null order by execution
                   on conflict (execution) do nothing
                   returning execution
               ), armed as (
                   update queue.reports r
                   set wanted = r.wanted + 1, final = true, due_at = clock_timestamp(),
                       expires_at = clock_timestamp() + e.ttl
                   from ended join queue.executions e on e.id = ended.execution
                   where r.execution = ended.execution
               )
               select execution as "execution!" from judged"#,
            &executions,
            &tokens,
            &delays,
            &counts,
        )
        .fetch_all(&self.pool)
        .await?;
        let moved: BTreeSet<i64> = moved.into_iter().collect();
        Ok(batch
            .iter()
            .map(|retry| {
                if moved.contains(&retry.execution) {
                    Fenced::Committed
                } else {
                    Fenced::Stop(Intent::Lost)
                }
            })
            .collect())
    }
}

/// Puts executions into their lanes, or ends those that an intent or a deadline has overtaken. What was started before
/// comes first in its namespace.
pub(super) async fn make_ready(
    tx: &mut Transaction<'_, Postgres>,
    mut rows: Vec<Waiting>,
) -> Result<()> {
    rows.sort_by_key(|row| row.execution);
    let executions: Vec<i64> = rows.iter().map(|row| row.execution).collect();
    // lanes_of: share the executions, so that an intent is either seen here or sees the new place.
    let lanes = sqlx::query!(
        "select scope, namespace from queue.executions where id = any ($1) order by id for share",
        &executions,
    )
    .fetch_all(&mut **tx)
    .await?;
    let lanes: BTreeSet<Lane> = lanes
        .into_iter()
        .map(|row| (row.scope, row.namespace))
        .collect();
    hold_heads(tx, &lanes).await?;
    let attempts: Vec<i32> = rows.iter().map(|row| row.attempt).collect();
    let takeovers: Vec<i16> = rows.iter().map(|row| row.takeovers).collect();
    let started: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.started_at).collect();
    let seqs: Vec<Option<i64>> = rows.iter().map(|row| row.seq).collect();
    // make_ready
    sqlx::query!(
        r#"with input as materialized (
               select t.*, e.scope, e.namespace, e.class, e.plan_format, e.timeout,
                      case when o.execution is not null then 'ended'
                           when e.cancel_at is not null or e.delete_at is not null then 'canceled'
                           when t.started_at + e.timeout <= clock_timestamp() then 'TimedOutInExecution'
                           when t.started_at is null and e.wait_until <= clock_timestamp() then 'TimedOutInQueue'
                           when t.takeovers >= 3 then 'WorkerLost' end as verdict
               from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::timestamptz[], $5::bigint[])
                   as t (execution, attempt, takeovers, started_at, seq)
               join queue.executions e on e.id = t.execution
               left join queue.outcomes o on o.execution = t.execution
           ), waits as (
               insert into queue.ready (scope, namespace, class, seq, execution, attempt, takeovers, plan_format)
               select scope, namespace, case when started_at is not null and class >= 40 then class - 40 else class end,
                      coalesce(seq, nextval('queue.ready_seq')), execution, attempt, takeovers, plan_format
               from input where verdict is null order by execution
           ), resumed as (
               insert into queue.resumed (execution, started_at, run_until)
               select execution, started_at, started_at + timeout from input
               where verdict is null and started_at is not null
               on conflict (execution) do nothing
           ), ended as (
               insert into queue.outcomes (execution, phase, class, started_at)
               select execution, case when verdict = 'canceled' then 'canceled' else 'error' end,
                      nullif(verdict, 'canceled'), started_at
               from input where verdict <> 'ended' order by execution
               on conflict (execution) do nothing
               returning execution
           )
           update queue.reports r
           set wanted = r.wanted + 1, final = true, due_at = clock_timestamp(),
               expires_at = clock_timestamp() + e.ttl
           from ended join queue.executions e on e.id = ended.execution
           where r.execution = ended.execution"#,
        &executions,
        &attempts,
        &takeovers,
        &started as &[Option<DateTime<Utc>>],
        &seqs as &[Option<i64>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
