//! The lease: one row per start of a process, beaten about once a second, measured in ticks of the database's clock.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{Error, Result, Store};

/// For how long one beat may take before its connection is given up.
const BEAT_PATIENCE: Duration = Duration::from_secs(4);

/// What a beat found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// The lease holds.
    Alive {
        /// The clock's tick.
        tick: i64,
        /// Runs of this incarnation that are to stop.
        stop: Vec<Stop>,
    },
    /// The incarnation is dead and stays so; its runs belong to others.
    Dead,
}

/// A run that is to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The execution.
    pub execution: i64,
    /// The run's token.
    pub run_token: Uuid,
    /// Why.
    pub why: Intent,
}

/// Why a run is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// `spec.cancel` was set.
    Cancel,
    /// The object is gone.
    Delete,
    /// The execution has an outcome already.
    Ended,
    /// Another incarnation has the run, or nobody.
    Lost,
}

/// A row of `running`, to be compared with a worker's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunningRow {
    /// The execution.
    pub execution: i64,
    /// The run's token.
    pub run_token: Uuid,
}

/// A connection that only beats, outside the pool, so that no queue of statements delays a beat.
#[derive(Debug)]
pub struct BeatConnection {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Store {
    /// A connection for beats; it is opened by the first one.
    pub fn beat_connection(&self) -> BeatConnection {
        let options = self
            .connect
            .clone()
            .options([("synchronous_commit", "off"), ("statement_timeout", "4s")]);
        BeatConnection {
            options,
            connection: None,
        }
    }

    /// Enters a fresh incarnation of a process with so many slots.
    pub async fn register(&self, incarnation: Uuid, name: &str, slots: i32) -> Result<()> {
        // register
        sqlx::query!(
            "insert into queue.workers (incarnation, name, slots, beat)
             select $1, $2, $3, tick from queue.clock where task = 'tick'",
            incarnation,
            name,
            slots,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Leaves in order: after this nobody waits six ticks to find the process gone.
    pub async fn deregister(&self, incarnation: Uuid) -> Result<()> {
        // deregister: what is still running, or is claimed by a statement whose answer was lost, is taken over as from
        // the dead; the row goes when nothing of the sort can happen any more.
        sqlx::query!(
            "update queue.workers set dead_at = coalesce(dead_at, clock_timestamp()), left_at = clock_timestamp()
             where incarnation = $1",
            incarnation,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The runs that the database believes this incarnation has.
    pub async fn running_of(&self, incarnation: Uuid) -> Result<Vec<RunningRow>> {
        // running_of
        let rows = sqlx::query_as!(
            RunningRow,
            "select execution, run_token from queue.running where incarnation = $1",
            incarnation,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}

impl BeatConnection {
    /// Beats once, and advances the clock when at least 0.9 s of database time have passed since it last did.
    pub async fn beat(&mut self, incarnation: Uuid, slots: i32) -> Result<Beat> {
        let attempt = tokio::time::timeout(BEAT_PATIENCE, self.beat_once(incarnation, slots)).await;
        let beat = attempt.unwrap_or_else(|_| Err(Error::Unavailable(sqlx::Error::PoolTimedOut)));
        if beat.is_err() {
            self.connection = None;
        }
        beat
    }

    async fn beat_once(&mut self, incarnation: Uuid, slots: i32) -> Result<Beat> {
        let connection = match self.connection.take() {
            Some(connection) => self.connection.insert(connection),
            None => self
                .connection
                .insert(PgConnection::connect_with(&self.options).await?),
        };
        // beat: one statement. The tick is skipped while somebody else makes it; a beat that touches no row finds its
        // incarnation dead.
        let rows = sqlx::query!(
            r#"with due as materialized (
                   select task from queue.clock
                   where task = 'tick' and due_at <= clock_timestamp()
                   for update skip locked
               ), ticked as (
                   update queue.clock c set tick = c.tick + 1, due_at = clock_timestamp() + interval '0.9 s'
                   from due where c.task = due.task
                   returning c.tick
               ), present as (
                   select coalesce((select tick from ticked), c.tick) as tick from queue.clock c where c.task = 'tick'
               ), alive as (
                   update queue.workers w set beat = p.tick, slots = $2
                   from present p
                   where w.incarnation = $1 and w.dead_at is null and w.beat > p.tick - 6
                   returning p.tick
               )
               select a.tick as "tick!", s.execution as "execution?", s.run_token as "run_token?",
                      s.ended as "ended?", s.deleted as "deleted?"
               from alive a
               left join lateral (
                   select r.execution, r.run_token, o.execution is not null as ended, e.delete_at is not null as deleted
                   from queue.running r
                   join queue.executions e on e.id = r.execution
                   left join queue.outcomes o on o.execution = r.execution
                   where r.incarnation = $1
                     and (e.cancel_at is not null or e.delete_at is not null or o.execution is not null)
               ) s on true"#,
            incarnation,
            slots,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(first) = rows.first() else {
            return Ok(Beat::Dead);
        };
        let tick = first.tick;
        let stop = rows
            .iter()
            .filter_map(|row| {
                let why = match (row.ended?, row.deleted?) {
                    (true, _) => Intent::Ended,
                    (_, true) => Intent::Delete,
                    _ => Intent::Cancel,
                };
                Some(Stop {
                    execution: row.execution?,
                    run_token: row.run_token?,
                    why,
                })
            })
            .collect();
        Ok(Beat::Alive { tick, stop })
    }
}
