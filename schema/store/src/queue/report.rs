//! The way home: which executions' states are not yet in their Query's status, and who is writing them there.

use std::time::Duration;

use ark_plan::status::{Facts, Stage};
use ark_plan::{Input, Outcome};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ended_by_queue, phase_from};
use crate::{Error, Result, Store};

/// Which reports are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Outcomes: at once.
    Terminal,
    /// Waiting and running: after a second, and no more than 50 a second over all processes.
    Early,
}

/// A status to be written.
#[derive(Debug, Clone)]
pub struct Report {
    /// The execution.
    pub execution: i64,
    /// `metadata.uid` of the Query.
    pub uid: Uuid,
    /// 0 for the first.
    pub round: i32,
    /// The Query's namespace.
    pub namespace: String,
    /// The Query's name.
    pub name: String,
    /// The sequence that this report brings.
    pub wanted: i32,
    /// The Query's version after our last write, if there was one.
    pub resource_version: Option<String>,
    /// W3C traceparent of the enqueue.
    pub trace: Option<String>,
    /// What the status is made of.
    pub facts: Facts,
}

/// A status that was written.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The execution.
    pub execution: i64,
    /// The sequence that was brought.
    pub wanted: i32,
    /// The Query's version after the write.
    pub resource_version: Option<String>,
}

struct Row {
    execution: i64,
    uid: Uuid,
    round: i32,
    namespace: String,
    name: String,
    wanted: i32,
    resource_version: Option<String>,
    trace: Option<String>,
    input: String,
    created_at: DateTime<Utc>,
    enqueued_at: DateTime<Utc>,
    phase: Option<String>,
    class: Option<String>,
    body: Option<String>,
    outcome_started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    run_started_at: Option<DateTime<Utc>>,
    failed: Option<i32>,
}

impl Row {
    fn into_report(self) -> Result<Report> {
        let corrupt = |what: &str| Error::Corrupt(format!("execution {}: {what}", self.execution));
        let input: Input =
            serde_json::from_str(&self.input).map_err(|_| corrupt("its input cannot be read"))?;
        let stage = match (&self.phase, &self.body, self.run_started_at) {
            (Some(_), Some(body), _) => {
                let outcome: Outcome = serde_json::from_str(body)
                    .map_err(|_| corrupt("its outcome cannot be read"))?;
                Stage::Ended(outcome)
            }
            (Some(phase), None, _) => {
                Stage::Ended(ended_by_queue(phase_from(phase)?, self.class.as_deref()))
            }
            (None, _, Some(since)) => Stage::Running { since },
            (None, _, None) => Stage::Queued {
                since: self.enqueued_at,
                failed: self.failed.unwrap_or(0),
            },
        };
        let facts = Facts {
            created_at: self.created_at,
            started_at: self.outcome_started_at.or(self.run_started_at),
            ended_at: self.ended_at,
            stage,
            input,
        };
        Ok(Report {
            execution: self.execution,
            uid: self.uid,
            round: self.round,
            namespace: self.namespace,
            name: self.name,
            wanted: self.wanted,
            resource_version: self.resource_version,
            trace: self.trace,
            facts,
        })
    }
}

impl Store {
    /// Takes reports for a while under a token of the reporter's. What is not settled by then is due again.
    pub async fn claim_reports(
        &self,
        token: Uuid,
        which: Progress,
        limit: i64,
        lease: Duration,
    ) -> Result<Vec<Report>> {
        let executions = match which {
            Progress::Terminal => self.lease_final_reports(token, limit, lease).await?,
            Progress::Early => self.lease_early_reports(token, limit, lease).await?,
        };
        if executions.is_empty() {
            return Ok(Vec::new());
        }
        // facts: the state as it is now, which is never older than what the report was wanted for.
        let rows = sqlx::query_as!(
            Row,
            r#"select r.execution, e.uid, e.round, e.namespace, e.name, r.wanted, r.resource_version, e.trace, e.input,
                      e.created_at, e.enqueued_at, o.phase as "phase?", o.class, o.body,
                      o.started_at as outcome_started_at, o.ended_at as "ended_at?",
                      u.started_at as "run_started_at?", s.attempt as "failed?"
               from queue.reports r
               join queue.executions e on e.id = r.execution
               left join queue.outcomes o on o.execution = r.execution
               left join queue.running u on u.execution = r.execution
               left join queue.scheduled s on s.execution = r.execution
               where r.execution = any ($1) and r.token = $2"#,
            &executions,
            token,
        )
        .fetch_all(&self.pool)
        .await?;
        // One that this program cannot read, such as a newer one's, is left to its lease and does not hold up the others.
        let readable = rows.into_iter().filter_map(|row| {
            let execution = row.execution;
            let report = row.into_report();
            report
                .inspect_err(|error| tracing::warn!(execution, %error, "a report cannot be read"))
                .ok()
        });
        Ok(readable.collect())
    }

    async fn lease_final_reports(
        &self,
        token: Uuid,
        limit: i64,
        lease: Duration,
    ) -> Result<Vec<i64>> {
        // lease_final_reports
        Ok(sqlx::query_scalar!(
            "with due as materialized (
                 select execution from queue.reports
                 where final and reported < wanted and due_at <= statement_timestamp()
                 order by due_at limit $2 for update skip locked
             )
             update queue.reports r set token = $1, due_at = clock_timestamp() + make_interval(secs => $3)
             from due where r.execution = due.execution
             returning r.execution",
            token,
            limit,
            lease.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?)
    }

    async fn lease_early_reports(
        &self,
        token: Uuid,
        limit: i64,
        lease: Duration,
    ) -> Result<Vec<i64>> {
        // lease_early_reports: ten each fifth of a second, whoever takes them; what began to run less than a second ago
        // is left standing.
        Ok(sqlx::query_scalar!(
            "with pass as materialized (
                 select task from queue.clock where task = 'early' and due_at <= clock_timestamp()
                 for update skip locked
             ), taken as (
                 update queue.clock c set due_at = clock_timestamp() + interval '200 ms'
                 from pass where c.task = pass.task
             ), due as materialized (
                 select r.execution from queue.reports r
                 where not r.final and r.reported < r.wanted and r.due_at <= statement_timestamp()
                   and exists (select from pass)
                   and not exists (select from queue.running u where u.execution = r.execution
                                   and u.claimed_at > clock_timestamp() - interval '1 s')
                 order by r.due_at limit least($2::bigint, 10) for update of r skip locked
             )
             update queue.reports r set token = $1, due_at = clock_timestamp() + make_interval(secs => $3)
             from due where r.execution = due.execution
             returning r.execution",
            token,
            limit,
            lease.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Whether the reporter may still write: nobody else has taken the report since.
    pub async fn still_holds(&self, token: Uuid, execution: i64) -> Result<bool> {
        // still_holds
        Ok(sqlx::query_scalar!(
            r#"select exists (select from queue.reports where execution = $2 and token = $1 and reported < wanted)
                   as "holds!""#,
            token,
            execution,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Settles reports that were written.
    pub async fn reported(&self, token: Uuid, batch: &[Reported]) -> Result<u64> {
        let executions: Vec<i64> = batch.iter().map(|report| report.execution).collect();
        let wanted: Vec<i32> = batch.iter().map(|report| report.wanted).collect();
        let versions: Vec<Option<String>> = batch
            .iter()
            .map(|report| report.resource_version.clone())
            .collect();
        // reported: a state that has changed meanwhile is due at once.
        let done = sqlx::query!(
            "update queue.reports r
             set reported = greatest(r.reported, t.wanted), resource_version = t.resource_version, token = null,
                 failures = 0, due_at = case when r.wanted > t.wanted then clock_timestamp() else r.due_at end
             from unnest($2::bigint[], $3::integer[], $4::text[]) as t (execution, wanted, resource_version)
             where r.execution = t.execution and r.token = $1",
            token,
            &executions,
            &wanted,
            &versions as &[Option<String>],
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Puts reports back that could not be written.
    pub async fn report_failed(
        &self,
        token: Uuid,
        executions: &[i64],
        retry_in: Duration,
    ) -> Result<u64> {
        // report_failed: each failure in a row doubles the pause, up to 32 times.
        let done = sqlx::query!(
            "update queue.reports
             set token = null, failures = failures + 1,
                 due_at = clock_timestamp() + make_interval(secs => $3 * power(2, least(failures, 5)))
             where execution = any ($2) and token = $1",
            token,
            executions,
            retry_in.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Settles reports whose object is gone, and lets go of their executions.
    pub async fn report_gone(&self, token: Uuid, executions: &[i64]) -> Result<u64> {
        // report_gone: settled here, because an execution that was let go of before is not silenced again.
        let uids = sqlx::query_scalar!(
            "update queue.reports r set reported = r.wanted, token = null, expires_at = null
             from queue.executions e
             where r.execution = any ($2) and r.token = $1 and e.id = r.execution
             returning e.uid",
            token,
            executions,
        )
        .fetch_all(&self.pool)
        .await?;
        self.forget(&uids).await
    }
}
