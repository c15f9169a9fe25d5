//! A worker takes as many rows as it has free slots, fairly over the lanes that have work.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Error, Result, Store};

/// What a claim found.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The runs that now belong to the claimer.
    pub runs: Vec<Run>,
    /// Where to look next.
    pub more: Look,
}

/// When the next claim is worth while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing is there: wait for a nudge or the next poll.
    Empty,
    /// Others hold what is there: look again in milliseconds.
    Busy,
    /// As much as was wanted: there may be more.
    Full,
}

/// One execution in the hands of one worker, identified by (execution, run token).
#[derive(Debug, Clone)]
pub struct Run {
    /// The execution.
    pub execution: i64,
    /// Fresh for each claim statement; fences every write of the run.
    pub run_token: Uuid,
    /// `metadata.uid` of the Query.
    pub uid: Uuid,
    /// 0 for the first.
    pub round: i32,
    /// The Query's namespace.
    pub namespace: String,
    /// The Query's name.
    pub name: String,
    /// The quota of its model calls.
    pub scope: i64,
    /// Its place in the lane: class.
    pub class: i16,
    /// Its place in the lane: sequence.
    pub seq: i64,
    /// This attempt's number, from 1.
    pub attempt: i32,
    /// Workers lost in a row without a new committed step.
    pub takeovers: i32,
    /// Hash of its plan.
    pub plan: [u8; 32],
    /// JSON text of [`ark_plan::Input`].
    pub input: String,
    /// W3C traceparent of the enqueue.
    pub trace: Option<String>,
    /// Until the execution's deadline, by the database's clock.
    pub remaining: Duration,
    /// From enqueue to this claim.
    pub waited: Duration,
    /// Whether it was claimed before, and may have committed steps.
    pub resumed: bool,
}

/// A row as the statements return it.
struct Row {
    execution: i64,
    run_token: Uuid,
    uid: Uuid,
    round: i32,
    namespace: String,
    name: String,
    scope: i64,
    class: i16,
    seq: i64,
    attempt: i32,
    takeovers: i16,
    plan: Option<Vec<u8>>,
    input: String,
    trace: Option<String>,
    remaining: f64,
    waited: f64,
    started_at: DateTime<Utc>,
    claimed_at: DateTime<Utc>,
}

impl Row {
    fn into_run(self) -> Result<Run> {
        let plan = self
            .plan
            .and_then(|hash| hash.try_into().ok())
            .ok_or_else(|| {
                Error::Corrupt(format!(
                    "execution {} was claimed without a plan",
                    self.execution
                ))
            })?;
        Ok(Run {
            execution: self.execution,
            run_token: self.run_token,
            uid: self.uid,
            round: self.round,
            namespace: self.namespace,
            name: self.name,
            scope: self.scope,
            class: self.class,
            seq: self.seq,
            attempt: self.attempt,
            takeovers: self.takeovers.into(),
            plan,
            input: self.input,
            trace: self.trace,
            remaining: Duration::from_secs_f64(self.remaining.max(0.0)),
            waited: Duration::from_secs_f64(self.waited.max(0.0)),
            resumed: self.attempt > 1 || self.takeovers > 0 || self.started_at < self.claimed_at,
        })
    }
}

impl Store {
    /// Claims up to `want` executions for a living incarnation. Only plans of the given format or older are taken, and
    /// no lane of a closed scope is visited.
    pub async fn claim(
        &self,
        incarnation: Uuid,
        run_token: Uuid,
        want: i64,
        formats: i16,
        closed: &[i64],
    ) -> Result<Claimed> {
        // claim: heads by virtual time, skipping those that others hold; rows of each lane by class and seq; the merge by
        // virtual finish time. Only who holds a head takes rows of its lane, so the rows need no locks of their own. What
        // has ended or may not start any more leaves the lane here, with its outcome.
        let rows = sqlx::query_as!(
            Row,
            r#"with heads as materialized (
                   select h.scope, h.namespace, h.vtime, h.weight
                   from (
                       select scope, namespace, vtime, weight from queue.heads
                       where scope <> all ($5)
                         and exists (select from queue.workers where incarnation = $1 and dead_at is null)
                       order by vtime, scope, namespace
                       for no key update skip locked
                   ) h cross join lateral (
                       select from queue.ready r
                       where r.scope = h.scope and r.namespace = h.namespace and r.plan_format <= $4
                       limit 1
                   ) r
                   limit 16
               ), picked as materialized (
                   select h.scope, h.namespace, r.class, r.seq, h.vtime + r.place / h.weight as finish
                   from heads h cross join lateral (
                       select q.class, q.seq, row_number() over (order by q.class, q.seq) as place
                       from queue.ready q
                       where q.scope = h.scope and q.namespace = h.namespace and q.plan_format <= $4
                       order by q.class, q.seq
                       limit $3
                   ) r
                   order by finish, h.scope, h.namespace, r.class, r.seq
                   limit $3
               ), gone as (
                   delete from queue.ready r using picked p
                   where r.scope = p.scope and r.namespace = p.namespace and r.class = p.class and r.seq = p.seq
                   returning r.*, p.finish
               ), judged as materialized (
                   select p.*, e.uid, e.round, e.name, e.plan, e.input, e.trace, e.enqueued_at, e.timeout,
                          s.started_at as resumed_at, coalesce(s.started_at, c.now) as started_at,
                          c.now as claimed_at,
                          case when o.execution is not null then 'ended'
                               when e.cancel_at is not null or e.delete_at is not null then 'canceled'
                               when s.run_until <= clock_timestamp() then 'TimedOutInExecution'
                               when s.execution is null and e.wait_until <= clock_timestamp() then 'TimedOutInQueue'
                          end as verdict
                   from gone p
                   cross join (select clock_timestamp() as now) c
                   join queue.executions e on e.id = p.execution
                   left join queue.outcomes o on o.execution = e.id
                   left join queue.resumed s on s.execution = e.id
               ), moved as (
                   insert into queue.running (run_token, execution, incarnation, scope, namespace, class, seq, attempt,
                       takeovers, started_at, claimed_at)
                   select $2, execution, $1, scope, namespace, class, seq, attempt + 1, takeovers, started_at,
                          claimed_at
                   from judged where verdict is null
                   order by execution
                   returning execution
               ), served as (
                   update queue.heads h set vtime = h.vtime + n.taken / h.weight
                   from (select scope, namespace, count(*) as taken from gone group by scope, namespace) n
                   where h.scope = n.scope and h.namespace = n.namespace
               ), shown as (
                   update queue.reports r set wanted = r.wanted + 1, due_at = clock_timestamp() + interval '1 s'
                   from moved m
                   where r.execution = m.execution and not r.final and r.reported = r.wanted
               ), ended as (
                   insert into queue.outcomes (execution, phase, class, started_at)
                   select execution, case when verdict = 'canceled' then 'canceled' else 'error' end,
                          nullif(verdict, 'canceled'), resumed_at
                   from judged where verdict <> 'ended'
                   order by execution
                   on conflict (execution) do nothing
                   returning execution
               ), armed as (
                   update queue.reports r
                   set wanted = r.wanted + 1, final = true, due_at = clock_timestamp(),
                       expires_at = clock_timestamp() + e.ttl
                   from ended join queue.executions e on e.id = ended.execution
                   where r.execution = ended.execution
               )
               select j.execution as "execution!", $2 as "run_token!: Uuid", j.uid as "uid!", j.round as "round!",
                      j.namespace as "namespace!", j.name as "name!", j.scope as "scope!", j.class as "class!",
                      j.seq as "seq!", j.attempt + 1 as "attempt!", j.takeovers as "takeovers!", j.plan,
                      j.input as "input!", j.trace,
                      extract(epoch from j.started_at + j.timeout - j.claimed_at)::double precision as "remaining!",
                      extract(epoch from j.claimed_at - j.enqueued_at)::double precision as "waited!",
                      j.started_at as "started_at!", j.claimed_at as "claimed_at!"
               from judged j
               where j.verdict is null
               order by j.finish, j.scope, j.namespace, j.class, j.seq"#,
            incarnation,
            run_token,
            want,
            formats,
            closed,
        )
        .fetch_all(&self.pool)
        .await?;
        let runs = rows
            .into_iter()
            .map(Row::into_run)
            .collect::<Result<Vec<Run>>>()?;
        let more = if runs.len() as i64 >= want {
            Look::Full
        } else {
            self.look(formats, closed).await?
        };
        Ok(Claimed { runs, more })
    }

    /// Whether an empty hand means an empty queue.
    async fn look(&self, formats: i16, closed: &[i64]) -> Result<Look> {
        // look
        let some = sqlx::query_scalar!(
            r#"select exists (
                   select from queue.heads h
                   where h.scope <> all ($1)
                     and exists (select from queue.ready r where r.scope = h.scope and r.namespace = h.namespace
                                 and r.plan_format <= $2)
               ) as "some!""#,
            closed,
            formats,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(if some { Look::Busy } else { Look::Empty })
    }

    /// Reads a claim back after its answer was lost.
    pub async fn claimed(&self, incarnation: Uuid, run_token: Uuid) -> Result<Vec<Run>> {
        // claimed
        let rows = sqlx::query_as!(
            Row,
            r#"select r.execution, r.run_token, e.uid, e.round, e.namespace, e.name, r.scope, r.class, r.seq, r.attempt,
                      r.takeovers, e.plan, e.input, e.trace,
                      extract(epoch from r.started_at + e.timeout - clock_timestamp())::double precision
                          as "remaining!",
                      extract(epoch from r.claimed_at - e.enqueued_at)::double precision as "waited!",
                      r.started_at, r.claimed_at
               from queue.running r join queue.executions e on e.id = r.execution
               where r.run_token = $1 and r.incarnation = $2
               order by r.scope, r.namespace, r.class, r.seq"#,
            run_token,
            incarnation,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Row::into_run).collect()
    }

    /// The plans with these hashes: hash, format, JSON text.
    pub async fn plans(&self, hashes: &[[u8; 32]]) -> Result<Vec<([u8; 32], i16, String)>> {
        let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
        // plans
        let rows = sqlx::query!(
            "select hash, format, body from queue.plans where hash = any ($1)",
            &wanted
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let hash = row
                    .hash
                    .try_into()
                    .map_err(|_| Error::Corrupt("a plan's hash is not 32 bytes".into()))?;
                Ok((hash, row.format, row.body))
            })
            .collect()
    }
}
