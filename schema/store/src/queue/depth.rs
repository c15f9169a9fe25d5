//! How much there is to do: for metrics, autoscaling and `ark status`.

use crate::{Result, Store};

/// What waits in one lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Depth {
    /// The quota.
    pub scope: i64,
    /// The namespace.
    pub namespace: String,
    /// Executions that can be claimed.
    pub ready: i64,
    /// Since when the oldest has been waiting, in seconds.
    pub oldest_seconds: f64,
}

/// What there is in the queue altogether.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Executions that can be claimed.
    pub ready: i64,
    /// Executions in back-off.
    pub scheduled: i64,
    /// Executions in the hands of workers.
    pub running: i64,
    /// Outcomes that are not in their Query's status yet.
    pub unreported: i64,
    /// Processes that beat.
    pub workers: i64,
    /// Their slots.
    pub slots: i64,
}

impl Store {
    /// What waits, by lane.
    pub async fn depth(&self) -> Result<Vec<Depth>> {
        // depth
        Ok(sqlx::query_as!(
            Depth,
            r#"select r.scope, r.namespace, count(*) as "ready!",
                      extract(epoch from clock_timestamp() - min(e.enqueued_at))::double precision as "oldest_seconds!"
               from queue.ready r join queue.executions e on e.id = r.execution
               group by r.scope, r.namespace order by r.scope, r.namespace"#,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// What there is altogether.
    pub async fn totals(&self) -> Result<Totals> {
        // totals
        Ok(sqlx::query_as!(
            Totals,
            r#"select (select count(*) from queue.ready) as "ready!",
                      (select count(*) from queue.scheduled) as "scheduled!",
                      (select count(*) from queue.running) as "running!",
                      (select count(*) from queue.reports where final and reported < wanted) as "unreported!",
                      (select count(*) from queue.workers where dead_at is null) as "workers!",
                      (select coalesce(sum(slots), 0) from queue.workers where dead_at is null) as "slots!""#,
        )
        .fetch_one(&self.pool)
        .await?)
    }
}
