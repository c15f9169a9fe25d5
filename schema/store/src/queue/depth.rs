//! How much there is to do: for metrics, autoscaling and `ark status`.

use uuid::Uuid;

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
            r#"select r.scope, r.namespace, r.ready as "ready!",
                      extract(epoch from clock_timestamp() - e.enqueued_at)::double precision as "oldest_seconds!"
               from (select scope, namespace, count(*) as ready, min(execution) as oldest
                     from queue.ready group by scope, namespace) r
               join queue.executions e on e.id = r.oldest
               order by r.scope, r.namespace"#,
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

/// A process that beats, or lately did.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerState {
    /// Its name.
    pub name: String,
    /// Its slots; 0 for one that only reports and cleans up.
    pub slots: i32,
    /// Executions in its hands.
    pub running: i64,
    /// Ticks since its last beat; six and it is dead.
    pub ticks_behind: i64,
    /// Whether it was found dead.
    pub dead: bool,
    /// For how long it has been there, in seconds.
    pub age_seconds: f64,
}

/// An execution that waits, with what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingExecution {
    /// The Query's namespace.
    pub namespace: String,
    /// The Query's name.
    pub name: String,
    /// The quota of its model calls.
    pub scope: i64,
    /// Its place in its lane, from 1; 0 while it waits out a back-off.
    pub position: i64,
    /// Attempts that have ended.
    pub attempt: i32,
    /// Since its enqueue, in seconds.
    pub waited_seconds: f64,
    /// Until its back-off is over, in seconds; `None` when it can be claimed.
    pub due_in_seconds: Option<f64>,
    /// Whether there is no living worker with slots.
    pub nobody: bool,
}

impl Store {
    /// The processes that beat, the newest last.
    pub async fn workers(&self) -> Result<Vec<WorkerState>> {
        // workers
        Ok(sqlx::query_as!(
            WorkerState,
            r#"select w.name, w.slots,
                      (select count(*) from queue.running r where r.incarnation = w.incarnation) as "running!",
                      c.tick - w.beat as "ticks_behind!", w.dead_at is not null as "dead!",
                      extract(epoch from clock_timestamp() - w.started_at)::double precision as "age_seconds!"
               from queue.workers w, queue.clock c
               where c.task = 'tick' and w.left_at is null
               order by w.started_at"#,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The executions that have waited longest.
    pub async fn waiting(&self, limit: i64) -> Result<Vec<WaitingExecution>> {
        // waiting: for people, so it may rank what claims never rank.
        Ok(sqlx::query_as!(
            WaitingExecution,
            r#"with waits as (
                   select execution, attempt, null::timestamptz as due_at,
                          row_number() over (partition by scope, namespace order by class, seq) as position
                   from queue.ready
                   union all
                   select execution, attempt, due_at, 0 from queue.scheduled
               )
               select e.namespace, e.name, e.scope, w.position as "position!", w.attempt as "attempt!",
                      extract(epoch from clock_timestamp() - e.enqueued_at)::double precision as "waited_seconds!",
                      extract(epoch from w.due_at - clock_timestamp())::double precision as due_in_seconds,
                      not exists (select from queue.workers where dead_at is null and slots > 0) as "nobody!"
               from waits w join queue.executions e on e.id = w.execution
               where not exists (select from queue.outcomes o where o.execution = e.id)
               order by e.enqueued_at limit $1"#,
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The execution of a Query's newest round.
    pub async fn execution_of(&self, uid: Uuid) -> Result<Option<i64>> {
        // execution_of
        Ok(sqlx::query_scalar!(
            "select id from queue.executions where uid = $1 order by round desc limit 1",
            uid,
        )
        .fetch_optional(&self.pool)
        .await?)
    }
}
