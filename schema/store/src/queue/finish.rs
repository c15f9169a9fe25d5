//! The end of a run: its outcome, fenced, and the report that it causes.

use std::collections::{HashMap, HashSet};

use ark_plan::{Class, Outcome};
use uuid::Uuid;

use super::beat::Intent;
use super::step::Fenced;
use crate::{Result, Store};

/// The outcome of one run.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The execution.
    pub execution: i64,
    /// The run's token.
    pub run_token: Uuid,
    /// How it ended.
    pub outcome: Outcome,
}

impl Store {
    /// Ends runs in one statement. A cancel intent turns an outcome into canceled. An outcome that Postgres refuses
    /// becomes an error of class `Unstorable` for its own execution only.
    pub async fn finish(&self, batch: &[Finish]) -> Result<Vec<Fenced>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let fenced = match self.finish_batch(batch).await {
            Err(error) if error.is_data() && batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                let mut fenced = Box::pin(self.finish(left)).await?;
                fenced.extend(Box::pin(self.finish(right)).await?);
                return Ok(fenced);
            }
            Err(error) if error.is_data() && batch[0].outcome.class != Some(Class::Unstorable) => {
                tracing::warn!(execution = batch[0].execution, error = %error, "an outcome cannot be stored");
                let outcome = Outcome::error(
                    Class::Unstorable,
                    "the answer cannot be stored by the database",
                );
                let culprit = Finish {
                    outcome,
                    ..batch[0].clone()
                };
                return Box::pin(self.finish(&[culprit])).await;
            }
            other => other?,
        };
        if fenced.contains(&Fenced::Committed) {
            self.nudge(super::REPORTS).await?;
        }
        Ok(fenced)
    }

    async fn finish_batch(&self, batch: &[Finish]) -> Result<Vec<Fenced>> {
        let executions: Vec<i64> = batch.iter().map(|finish| finish.execution).collect();
        let tokens: Vec<Uuid> = batch.iter().map(|finish| finish.run_token).collect();
        let phases: Vec<String> = batch
            .iter()
            .map(|finish| finish.outcome.phase.as_str().to_owned())
            .collect();
        let classes: Vec<Option<String>> = batch
            .iter()
            .map(|finish| finish.outcome.class.map(|class| class.as_str().to_owned()))
            .collect();
        let bodies: Vec<String> = batch
            .iter()
            .map(|finish| serde_json::to_string(&finish.outcome).expect("an outcome is plain data"))
            .collect();
        // finish: delete the runs that are still ours, and only for those insert what they came to.
        let finished = sqlx::query_scalar!(
            r#"with input as materialized (
                   select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[])
                       as t (execution, run_token, phase, class, body)
               ), locked as materialized (
                   select r.run_token, r.execution, r.started_at, i.phase, i.class, i.body
                   from input i
                   join queue.running r on r.run_token = i.run_token and r.execution = i.execution
                   order by r.run_token, r.execution
                   for update of r
               ), gone as (
                   delete from queue.running r using locked l
                   where r.run_token = l.run_token and r.execution = l.execution
               ), ended as (
                   insert into queue.outcomes (execution, phase, class, body, run_token, started_at)
                   select l.execution,
                          case when e.cancel_at is null then l.phase else 'canceled' end,
                          case when e.cancel_at is null then l.class end,
                          case when e.cancel_at is null then l.body end,
                          l.run_token, l.started_at
                   from locked l join queue.executions e on e.id = l.execution
                   order by l.execution
                   on conflict (execution) do nothing
                   returning execution
               ), armed as (
                   update queue.reports r
                   set wanted = r.wanted + 1, final = true, due_at = clock_timestamp(),
                       expires_at = clock_timestamp() + e.ttl
                   from ended join queue.executions e on e.id = ended.execution
                   where r.execution = ended.execution
               )
               select execution as "execution!" from ended"#,
            &executions,
            &tokens,
            &phases,
            &classes as &[Option<String>],
            &bodies,
        )
        .fetch_all(&self.pool)
        .await?;
        let finished: HashSet<i64> = finished.into_iter().collect();
        let rest: Vec<(i64, Uuid)> = batch
            .iter()
            .filter(|finish| !finished.contains(&finish.execution))
            .map(|finish| (finish.execution, finish.run_token))
            .collect();
        let ended = if rest.is_empty() {
            HashMap::new()
        } else {
            self.ended_by(&rest).await?
        };
        Ok(batch
            .iter()
            .map(|finish| match ended.get(&finish.execution) {
                _ if finished.contains(&finish.execution) => Fenced::Committed,
                Some(true) => Fenced::Committed,
                Some(false) => Fenced::Stop(Intent::Ended),
                None => Fenced::Stop(Intent::Lost),
            })
            .collect())
    }
}
