//! What users want of executions that exist: cancel, delete, another ttl. An intent is durable first and fast second.

use std::time::Duration;

use ark_plan::Phase;
use uuid::Uuid;

use super::phase_from;
use crate::{Result, Store};

/// An execution whose object should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveExecution {
    /// Its id, by which pages are asked for.
    pub execution: i64,
    /// `metadata.uid` of the Query.
    pub uid: Uuid,
    /// 0 for the first.
    pub round: i32,
    /// The Query's namespace.
    pub namespace: String,
    /// The Query's name.
    pub name: String,
    /// How it ended, if it has.
    pub ended: Option<Phase>,
}

/// A finished Query whose ttl has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredObject {
    /// `metadata.uid` of the Query: the precondition of its deletion.
    pub uid: Uuid,
    /// The Query's namespace.
    pub namespace: String,
    /// The Query's name.
    pub name: String,
}

impl Store {
    /// Asks for executions to stop. Those that no worker has end here; the others are stopped by their workers.
    pub async fn cancel(&self, uids: &[Uuid]) -> Result<u64> {
        // intend_cancel: an execution that has ended stays as it ended.
        let mut tx = self.pool.begin().await?;
        let intended = sqlx::query_scalar!(
            "with target as materialized (
                 select e.id from queue.executions e
                 where e.uid = any ($1) and e.cancel_at is null
                   and not exists (select from queue.outcomes o where o.execution = e.id)
                 order by e.id for update
             )
             update queue.executions e set cancel_at = clock_timestamp() from target t where e.id = t.id returning e.id",
            uids,
        )
        .fetch_all(&mut *tx)
        .await?;
        // end_idle: what is running is left to its worker, or to whoever takes over from it.
        sqlx::query!(
            r#"select queue.end_v1(array_agg(t.id order by t.id), 'canceled', null) as "execution"
               from unnest($1::bigint[]) as t (id)
               where not exists (select from queue.running r where r.execution = t.id)
               having count(*) > 0"#,
            &intended,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        if !intended.is_empty() {
            self.nudge(super::INTENTS).await?;
            self.nudge(super::REPORTS).await?;
        }
        Ok(intended.len() as u64)
    }

    /// Lets go of executions whose objects are gone: runs stop, nothing is reported, the rows are purged later.
    pub async fn forget(&self, uids: &[Uuid]) -> Result<u64> {
        // intend_delete
        let mut tx = self.pool.begin().await?;
        let intended = sqlx::query_scalar!(
            "with target as materialized (
                 select e.id from queue.executions e where e.uid = any ($1) and e.delete_at is null
                 order by e.id for update
             )
             update queue.executions e set delete_at = clock_timestamp() from target t where e.id = t.id returning e.id",
            uids,
        )
        .fetch_all(&mut *tx)
        .await?;
        // end_forgotten: nothing waits for a worker any more.
        sqlx::query!(
            r#"select queue.end_v1(array_agg(t.id order by t.id), 'canceled', null) as "execution"
               from unnest($1::bigint[]) as t (id)
               where not exists (select from queue.running r where r.execution = t.id)
               having count(*) > 0"#,
            &intended,
        )
        .fetch_all(&mut *tx)
        .await?;
        // silence: there is no status left to write, and no object to delete at its ttl.
        sqlx::query!(
            "update queue.reports set reported = wanted, token = null, expires_at = null where execution = any ($1)",
            &intended,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if !intended.is_empty() {
            self.nudge(super::INTENTS).await?;
        }
        Ok(intended.len() as u64)
    }

    /// Changes how long a Query is kept after its end.
    pub async fn set_ttl(&self, uid: Uuid, ttl: Duration) -> Result<()> {
        // set_ttl: also if it is set already, because the first time may have missed an outcome that was about to commit.
        sqlx::query!(
            "with changed as (
                 update queue.executions set ttl = make_interval(secs => $2)
                 where uid = $1
                 returning id
             )
             update queue.reports r set expires_at = o.ended_at + make_interval(secs => $2)
             from changed join queue.outcomes o on o.execution = changed.id
             where r.execution = changed.id and r.expires_at is not null",
            uid,
            ttl.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Has the stored outcome reported again: the object's status differs from it.
    pub async fn rearm(&self, uids: &[Uuid]) -> Result<u64> {
        // rearm
        let done = sqlx::query!(
            "update queue.reports r set wanted = r.wanted + 1, due_at = clock_timestamp(), resource_version = null
             from queue.executions e
             where e.uid = any ($1) and e.delete_at is null and r.execution = e.id and r.final
               and r.reported >= r.wanted",
            uids,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 {
            self.nudge(super::REPORTS).await?;
        }
        Ok(done.rows_affected())
    }

    /// A page of executions whose objects should exist, by id.
    pub async fn live(&self, after: i64, limit: i64) -> Result<Vec<LiveExecution>> {
        // live
        let rows = sqlx::query!(
            r#"select e.id, e.uid, e.round, e.namespace, e.name, o.phase as "phase?"
               from queue.executions e left join queue.outcomes o on o.execution = e.id
               where e.id > $1 and e.delete_at is null
               order by e.id limit $2"#,
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let ended = row.phase.as_deref().map(phase_from).transpose()?;
                Ok(LiveExecution {
                    execution: row.id,
                    uid: row.uid,
                    round: row.round,
                    namespace: row.namespace,
                    name: row.name,
                    ended,
                })
            })
            .collect()
    }

    /// Queries past their ttl, each handed out again after a minute until its object is gone.
    pub async fn expired(&self, limit: i64) -> Result<Vec<ExpiredObject>> {
        // expired
        let rows = sqlx::query_as!(
            ExpiredObject,
            "with due as materialized (
                 select execution from queue.reports where expires_at <= statement_timestamp()
                 order by expires_at limit $1 for update skip locked
             ), leased as (
                 update queue.reports r set expires_at = clock_timestamp() + interval '60 s'
                 from due where r.execution = due.execution
             )
             select e.uid, e.namespace, e.name
             from due join queue.executions e on e.id = due.execution
             where e.delete_at is null",
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}
