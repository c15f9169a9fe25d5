//! What time brings: the dead are found, due rows become ready, deadlines pass, leftovers go. Nobody owns these tasks;
//! whoever finds one due in `clock` does a bounded piece of it.
//!
//! Bounds of index scans are `statement_timestamp()`: `clock_timestamp()` is volatile, and a volatile bound is checked on
//! every row of the index instead of ending the scan.

use std::time::Duration;

use uuid::Uuid;

use super::requeue::{Waiting, make_ready};
use crate::{Error, Result, Store};

/// The most rows that one piece of upkeep touches.
const PIECE: i64 = 500;

/// A task of upkeep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upkeep {
    /// Dead incarnations and their runs.
    Reap,
    /// Retries whose pause is over.
    Promote,
    /// Executions whose time is over.
    Expire,
    /// Executions whose objects are gone, and plans that nobody uses.
    Purge,
    /// Heads of empty lanes.
    Heads,
}

impl Upkeep {
    /// All tasks.
    pub const ALL: [Upkeep; 5] = [
        Upkeep::Reap,
        Upkeep::Promote,
        Upkeep::Expire,
        Upkeep::Purge,
        Upkeep::Heads,
    ];

    /// The name in `clock`, in logs and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Upkeep::Reap => "reap",
            Upkeep::Promote => "promote",
            Upkeep::Expire => "expire",
            Upkeep::Purge => "purge",
            Upkeep::Heads => "heads",
        }
    }

    fn period(self) -> Duration {
        match self {
            Upkeep::Reap => Duration::from_millis(500),
            Upkeep::Promote => Duration::from_millis(100),
            Upkeep::Expire => Duration::from_millis(500),
            Upkeep::Purge => Duration::from_secs(10),
            Upkeep::Heads => Duration::from_secs(5),
        }
    }
}

/// An incarnation that was found dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The incarnation.
    pub incarnation: Uuid,
    /// The process's name.
    pub name: String,
}

/// What a piece of upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpkeepDone {
    /// Rows changed.
    pub changed: u64,
    /// Whether there is probably more to do at once.
    pub more: bool,
    /// Incarnations found dead.
    pub reaped: Vec<Reaped>,
}

impl Store {
    /// The tasks that are due; each is handed to one caller and is due again after its period.
    pub async fn upkeep_due(&self) -> Result<Vec<Upkeep>> {
        let names: Vec<String> = Upkeep::ALL
            .iter()
            .map(|task| task.as_str().to_owned())
            .collect();
        let periods: Vec<f64> = Upkeep::ALL
            .iter()
            .map(|task| task.period().as_secs_f64())
            .collect();
        // upkeep_due
        let due = sqlx::query_scalar!(
            "with due as materialized (
                 select c.task, t.period
                 from unnest($1::text[], $2::double precision[]) as t (task, period)
                 join queue.clock c on c.task = t.task
                 where c.due_at <= clock_timestamp()
                 order by c.task for update of c skip locked
             )
             update queue.clock c set due_at = clock_timestamp() + make_interval(secs => due.period)
             from due where c.task = due.task
             returning c.task",
            &names,
            &periods,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(Upkeep::ALL
            .into_iter()
            .filter(|task| due.iter().any(|name| name == task.as_str()))
            .collect())
    }

    /// Does a bounded piece of a task.
    pub async fn upkeep(&self, task: Upkeep) -> Result<UpkeepDone> {
        let done = match task {
            Upkeep::Reap => self.reap().await?,
            Upkeep::Promote => self.promote().await?,
            Upkeep::Expire => self.expire().await?,
            Upkeep::Purge => self.purge().await?,
            Upkeep::Heads => self.retire_heads().await?,
        };
        Ok(done)
    }

    async fn reap(&self) -> Result<UpkeepDone> {
        // mark_dead: six ticks behind; a worker that beats at this moment holds its row and is passed over.
        let reaped = sqlx::query_as!(
            Reaped,
            "update queue.workers w set dead_at = clock_timestamp()
             where w.incarnation in (
                 select v.incarnation from queue.workers v, queue.clock c
                 where c.task = 'tick' and v.dead_at is null and v.beat <= c.tick - 6
                 for update of v skip locked)
             returning w.incarnation, w.name",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut tx = self.pool.begin().await?;
        // take_over: the runs of the dead, found again until their incarnation is forgotten, because a claim of theirs
        // may have committed late. A run that committed a step made progress.
        let rows = sqlx::query_as!(
            Waiting,
            r#"with orphan as materialized (
                   select r.run_token, r.execution from queue.running r
                   join queue.workers w on w.incarnation = r.incarnation
                   where w.dead_at is not null
                   order by r.run_token, r.execution limit $1
                   for update of r skip locked
               ), gone as (
                   delete from queue.running r using orphan o
                   where r.run_token = o.run_token and r.execution = o.execution
                   returning r.*
               )
               select g.execution as "execution!", g.attempt - 1 as "attempt!",
                      case when exists (select from queue.steps s where s.execution = g.execution
                                        and s.run_token = g.run_token and s.kind > 0)
                           then 0::smallint else (g.takeovers + 1)::smallint end as "takeovers!",
                      g.started_at as "started_at?", null::bigint as "seq?"
               from gone g"#,
            PIECE,
        )
        .fetch_all(&mut *tx)
        .await?;
        let taken = rows.len() as u64;
        make_ready(&mut tx, rows).await?;
        // forget_dead: long after anything of theirs could still commit.
        sqlx::query!(
            "delete from queue.workers w where w.dead_at < clock_timestamp() - interval '10 min'
             and not exists (select from queue.running r where r.incarnation = w.incarnation)",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if taken > 0 {
            self.nudge(super::READY).await?;
            self.nudge(super::REPORTS).await?;
        }
        Ok(UpkeepDone {
            changed: taken,
            more: taken == PIECE as u64,
            reaped,
        })
    }

    async fn promote(&self) -> Result<UpkeepDone> {
        let mut tx = self.pool.begin().await?;
        // promote
        let rows = sqlx::query_as!(
            Waiting,
            r#"with gone as (
                   delete from queue.scheduled s
                   where (s.due_at, s.seq) in (
                       select due_at, seq from queue.scheduled where due_at <= statement_timestamp()
                       order by due_at, seq limit $1 for update skip locked)
                   returning s.*
               )
               select g.execution as "execution!", g.attempt as "attempt!", g.takeovers as "takeovers!",
                      r.started_at as "started_at?", null::bigint as "seq?"
               from gone g left join queue.resumed r on r.execution = g.execution"#,
            PIECE,
        )
        .fetch_all(&mut *tx)
        .await?;
        let promoted = rows.len() as u64;
        make_ready(&mut tx, rows).await?;
        tx.commit().await?;
        if promoted > 0 {
            self.nudge(super::READY).await?;
        }
        Ok(UpkeepDone {
            changed: promoted,
            more: promoted == PIECE as u64,
            reaped: Vec::new(),
        })
    }

    async fn expire(&self) -> Result<UpkeepDone> {
        let mut tx = self.pool.begin().await?;
        // expire_waiting: looks from a moving bound, ten seconds back for what was committed late.
        let waiting = sqlx::query!(
            r#"select e.id, e.wait_until
               from queue.executions e
               where e.wait_until > coalesce((select bound from queue.clock where task = 'expire'), '-infinity')
                         - interval '10 s'
                 and e.wait_until <= statement_timestamp()
                 and not exists (select from queue.outcomes o where o.execution = e.id)
                 and not exists (select from queue.running r where r.execution = e.id)
                 and not exists (select from queue.resumed s where s.execution = e.id)
               order by e.wait_until limit $1"#,
            PIECE,
        )
        .fetch_all(&mut *tx)
        .await?;
        // expire_resumed: what was started, waits again, and has no time left.
        let resumed = sqlx::query_scalar!(
            "select s.execution from queue.resumed s
             where s.run_until <= statement_timestamp()
               and not exists (select from queue.outcomes o where o.execution = s.execution)
               and not exists (select from queue.running r where r.execution = s.execution)
             order by s.run_until limit $1",
            PIECE,
        )
        .fetch_all(&mut *tx)
        .await?;
        // forget_resumed: what has ended needs no deadline, and would be looked at again each time.
        sqlx::query!(
            "delete from queue.resumed where execution in (
                 select s.execution from queue.resumed s join queue.outcomes o on o.execution = s.execution
                 where s.run_until <= statement_timestamp()
                 order by s.run_until limit $1)",
            PIECE,
        )
        .execute(&mut *tx)
        .await?;
        let late: Vec<i64> = waiting.iter().map(|row| row.id).collect();
        let full = waiting.len() as i64 == PIECE;
        for (class, executions) in [
            ("TimedOutInQueue", &late),
            ("TimedOutInExecution", &resumed),
        ] {
            // end_late
            sqlx::query!("select queue.end_v1($1, 'error', $2)", executions, class)
                .fetch_all(&mut *tx)
                .await?;
        }
        // move_bound: everything up to here has been looked at.
        sqlx::query!(
            "update queue.clock set bound = coalesce($1, clock_timestamp()) where task = 'expire'",
            if full {
                waiting.last().map(|row| row.wait_until)
            } else {
                None
            },
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let changed = (late.len() + resumed.len()) as u64;
        if changed > 0 {
            self.nudge(super::REPORTS).await?;
        }
        Ok(UpkeepDone {
            changed,
            more: full || resumed.len() as i64 == PIECE,
            reaped: Vec::new(),
        })
    }

    async fn purge(&self) -> Result<UpkeepDone> {
        // purge: ten minutes after the object went, so that a late enqueue still finds its key taken.
        let purged = sqlx::query!(
            "with gone as (
                 delete from queue.executions e
                 where e.id in (
                     select id from queue.executions v
                     where v.delete_at < statement_timestamp() - interval '10 min'
                       and not exists (select from queue.running r where r.execution = v.id)
                     order by v.delete_at limit $1 for update skip locked)
                 returning e.id
             ), s as (delete from queue.steps where execution in (select id from gone)),
                o as (delete from queue.outcomes where execution in (select id from gone)),
                r as (delete from queue.reports where execution in (select id from gone)),
                p as (delete from queue.resumed where execution in (select id from gone)),
                q as (delete from queue.scheduled where execution in (select id from gone))
             select id from gone",
            PIECE,
        )
        .fetch_all(&self.pool)
        .await?;
        // purge_plans: an hour after their last use. Whoever enqueues with one notes that use first (insert_plans), and
        // its transaction ends long before the hour does.
        let plans = sqlx::query!(
            "delete from queue.plans p using (
                 select v.hash from queue.plans v
                 where v.created_at < statement_timestamp() - interval '1 hour'
                   and not exists (select from queue.executions e where e.plan = v.hash)
                 order by v.created_at limit $1 for update of v skip locked) unused
             where p.hash = unused.hash",
            PIECE,
        )
        .execute(&self.pool)
        .await?;
        let (executions, plans) = (purged.len() as u64, plans.rows_affected());
        Ok(UpkeepDone {
            changed: executions + plans,
            more: executions.max(plans) == PIECE as u64,
            reaped: Vec::new(),
        })
    }

    async fn retire_heads(&self) -> Result<UpkeepDone> {
        let mut tx = self.pool.begin().await?;
        // hold_empty_heads: exclusively; a lane that is being filled shares its head and is passed over.
        let held = sqlx::query!(
            "select h.scope, h.namespace from queue.heads h
             where not exists (select from queue.ready r where r.scope = h.scope and r.namespace = h.namespace)
             order by h.scope, h.namespace limit $1 for update skip locked",
            PIECE,
        )
        .fetch_all(&mut *tx)
        .await?;
        let scopes: Vec<i64> = held.iter().map(|head| head.scope).collect();
        let namespaces: Vec<String> = held.iter().map(|head| head.namespace.clone()).collect();
        // retire_heads: looked at again with a fresh snapshot, now that nobody can fill the lane unseen.
        let retired = sqlx::query!(
            "delete from queue.heads h
             using unnest($1::bigint[], $2::text[]) as t (scope, namespace)
             where h.scope = t.scope and h.namespace = t.namespace
               and not exists (select from queue.ready r where r.scope = h.scope and r.namespace = h.namespace)",
            &scopes,
            &namespaces,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(UpkeepDone {
            changed: retired.rows_affected(),
            more: false,
            reaped: Vec::new(),
        })
    }
}

impl std::str::FromStr for Upkeep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Upkeep::ALL
            .into_iter()
            .find(|task| task.as_str() == text)
            .ok_or_else(|| Error::Corrupt(format!("unknown upkeep task {text:?}")))
    }
}
