//! The progress of a run: what has been paid for, committed before anything that depends on it starts.

use std::collections::HashMap;

use ark_plan::Usage;
use uuid::Uuid;

use super::beat::Intent;
use crate::{Error, Result, Store};

/// What a fenced write found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// Written, now or by the same token before.
    Committed,
    /// Not written: the run is to stop without writing anything else.
    Stop(Intent),
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepKind {
    /// A tool that must not run twice is about to start.
    Started,
    /// A model's reply.
    Reply,
    /// A tool's result.
    Result,
}

impl StepKind {
    fn number(self) -> i16 {
        match self {
            StepKind::Started => 0,
            StepKind::Reply => 1,
            StepKind::Result => 2,
        }
    }

    fn from_number(number: i16) -> Result<Self> {
        match number {
            0 => Ok(StepKind::Started),
            1 => Ok(StepKind::Reply),
            2 => Ok(StepKind::Result),
            other => Err(Error::Corrupt(format!("unknown kind of step {other}"))),
        }
    }
}

/// A committed step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The execution.
    pub execution: i64,
    /// Its place in the plan: `turn.3`, `turn.3/call.2`.
    pub path: String,
    /// What it is.
    pub kind: StepKind,
    /// SHA-256 of the request that it answers.
    pub request_hash: [u8; 32],
    /// JSON text.
    pub body: String,
    /// Tokens of this step.
    pub usage: Usage,
    /// The run that committed it.
    pub run_token: Uuid,
}

/// A step to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// The execution.
    pub execution: i64,
    /// The run's token.
    pub run_token: Uuid,
    /// Its place in the plan.
    pub path: String,
    /// What it is.
    pub kind: StepKind,
    /// SHA-256 of the request that it answers.
    pub request_hash: [u8; 32],
    /// JSON text.
    pub body: String,
    /// Tokens of this step.
    pub usage: Usage,
}

/// What a statement made of a step.
struct Judged {
    verdict: Option<String>,
    inserted: bool,
    /// Whether the step that stands is of this run.
    mine: Option<bool>,
}

impl Judged {
    fn fenced(&self) -> Fenced {
        match self.verdict.as_deref() {
            None if self.inserted || self.mine == Some(true) => Fenced::Committed,
            None | Some("lost") => Fenced::Stop(Intent::Lost),
            Some("deleted") => Fenced::Stop(Intent::Delete),
            Some("canceled") => Fenced::Stop(Intent::Cancel),
            Some(_) => Fenced::Stop(Intent::Ended),
        }
    }
}

impl Store {
    /// The committed steps of executions, in the order of their commit.
    pub async fn steps(&self, executions: &[i64]) -> Result<Vec<Step>> {
        // steps
        let rows = sqlx::query!(
            "select execution, path, kind, run_token, request_hash, body, usage from queue.steps
             where execution = any ($1) order by execution, seq",
            executions,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let corrupt = |what: &str| {
                    Error::Corrupt(format!("step {} of {}: {what}", row.path, row.execution))
                };
                Ok(Step {
                    execution: row.execution,
                    kind: StepKind::from_number(row.kind)?,
                    request_hash: row
                        .request_hash
                        .try_into()
                        .map_err(|_| corrupt("hash is not 32 bytes"))?,
                    usage: serde_json::from_value(row.usage)
                        .map_err(|_| corrupt("usage cannot be read"))?,
                    path: row.path,
                    body: row.body,
                    run_token: row.run_token,
                })
            })
            .collect()
    }

    /// Commits steps of many runs in one statement, each fenced by its run's row.
    pub async fn commit_steps(&self, steps: &[NewStep]) -> Result<Vec<Fenced>> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let mut result = self.commit_step_batch(steps).await;
        if let Ok(None) = result {
            result = self.commit_step_batch(steps).await;
        }
        match result {
            Err(error) if error.is_data() && steps.len() > 1 => {
                let (left, right) = steps.split_at(steps.len() / 2);
                let mut fenced = Box::pin(self.commit_steps(left)).await?;
                fenced.extend(Box::pin(self.commit_steps(right)).await?);
                Ok(fenced)
            }
            Err(error) => Err(error),
            Ok(fenced) => {
                Ok(fenced.unwrap_or_else(|| vec![Fenced::Stop(Intent::Lost); steps.len()]))
            }
        }
    }

    /// None if a step was in the way that this statement cannot see: it was committed while the statement waited for it,
    /// maybe by its own first try whose answer was lost. The next statement sees it.
    async fn commit_step_batch(&self, steps: &[NewStep]) -> Result<Option<Vec<Fenced>>> {
        let executions: Vec<i64> = steps.iter().map(|step| step.execution).collect();
        let tokens: Vec<Uuid> = steps.iter().map(|step| step.run_token).collect();
        let paths: Vec<String> = steps.iter().map(|step| step.path.clone()).collect();
        let kinds: Vec<i16> = steps.iter().map(|step| step.kind.number()).collect();
        let hashes: Vec<Vec<u8>> = steps
            .iter()
            .map(|step| step.request_hash.to_vec())
            .collect();
        let bodies: Vec<String> = steps.iter().map(|step| step.body.clone()).collect();
        let usages: Vec<serde_json::Value> = steps
            .iter()
            .map(|step| serde_json::to_value(step.usage).expect("usage is plain data"))
            .collect();
        // commit_steps: the lock on `running` keeps a take-over away until this commit, and no row means stop.
        let rows = sqlx::query_as!(
            Judged,
            r#"with input as materialized (
                   select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::smallint[], $5::bytea[], $6::text[],
                                        $7::jsonb[])
                       with ordinality as t (execution, run_token, path, kind, request_hash, body, usage, place)
               ), run as materialized (
                   select r.execution, r.run_token
                   from queue.running r
                   where (r.run_token, r.execution) in (select run_token, execution from input)
                   order by r.run_token, r.execution
                   for key share of r
               ), judged as materialized (
                   select i.*, case when o.execution is not null then 'ended'
                                    when run.execution is null then 'lost'
                                    when e.delete_at is not null then 'deleted'
                                    when e.cancel_at is not null then 'canceled' end as verdict
                   from input i
                   left join run on run.execution = i.execution and run.run_token = i.run_token
                   left join queue.executions e on e.id = i.execution
                   left join queue.outcomes o on o.execution = i.execution
               ), inserted as (
                   insert into queue.steps (execution, path, kind, run_token, request_hash, body, usage)
                   select execution, path, kind, run_token, request_hash, body, usage
                   from judged where verdict is null
                   order by execution, place
                   on conflict (execution, path, kind) do nothing
                   returning execution, path, kind
               )
               select j.verdict, n.execution is not null as "inserted!", s.run_token = j.run_token as "mine?"
               from judged j
               left join inserted n on n.execution = j.execution and n.path = j.path and n.kind = j.kind
               left join queue.steps s on s.execution = j.execution and s.path = j.path and s.kind = j.kind
               order by j.place"#,
            &executions,
            &tokens,
            &paths,
            &kinds,
            &hashes,
            &bodies,
            &usages,
        )
        .fetch_all(&self.pool)
        .await?;
        let is_unseen = |row: &Judged| row.verdict.is_none() && !row.inserted && row.mine.is_none();
        if rows.iter().any(is_unseen) {
            return Ok(None);
        }
        Ok(Some(rows.iter().map(Judged::fenced).collect()))
    }

    /// Removes steps whose requests are no longer what the plan asks for, fenced like a commit.
    pub async fn discard_steps(
        &self,
        execution: i64,
        run_token: Uuid,
        paths: &[String],
    ) -> Result<Fenced> {
        // discard_steps
        let fenced = sqlx::query_scalar!(
            r#"with run as materialized (
                   select execution from queue.running where run_token = $2 and execution = $1 for key share
               ), gone as (
                   delete from queue.steps s using run where s.execution = run.execution and s.path = any ($3)
               )
               select exists (select from run) as "fenced!""#,
            execution,
            run_token,
            paths,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(if fenced {
            Fenced::Committed
        } else {
            Fenced::Stop(Intent::Lost)
        })
    }

    /// Whether the runs' own tokens ended them: a repeated write is a success.
    pub(super) async fn ended_by(&self, runs: &[(i64, Uuid)]) -> Result<HashMap<i64, bool>> {
        let executions: Vec<i64> = runs.iter().map(|run| run.0).collect();
        let tokens: Vec<Uuid> = runs.iter().map(|run| run.1).collect();
        // ended_by
        let rows = sqlx::query!(
            r#"select o.execution, o.run_token is not distinct from t.run_token as "mine!"
               from unnest($1::bigint[], $2::uuid[]) as t (execution, run_token)
               join queue.outcomes o on o.execution = t.execution"#,
            &executions,
            &tokens,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.execution, row.mine))
            .collect())
    }
}
