//! A Query becomes one row: unique per (uid, round), so that a repeated enqueue finds the key taken.

mod tables;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Class, Outcome, Phase};
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::heads::hold_heads;
use super::phase_from;
use crate::{Result, Store};
use tables::{insert_ended, insert_executions, insert_plans, insert_ready, insert_reports};

/// A resolved target to be stored once.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPlan {
    /// Content hash: [`ark_plan::hash`].
    pub hash: [u8; 32],
    /// The plan's format.
    pub format: i16,
    /// JSON text of the plan.
    pub body: String,
}

/// One execution of a Query.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// `metadata.uid` of the Query.
    pub uid: Uuid,
    /// 0 for the first.
    pub round: i32,
    /// The Query's namespace.
    pub namespace: String,
    /// The Query's name.
    pub name: String,
    /// The resolved target; `None` when the Query cannot be planned, with `outcome` set.
    pub plan: Option<Arc<NewPlan>>,
    /// JSON text of [`ark_plan::Input`].
    pub input: String,
    /// The quota of its model calls; 0 for none.
    pub scope: i64,
    /// Order inside its lane, smaller first.
    pub class: i16,
    /// `metadata.creationTimestamp`, from which the wait is bounded.
    pub created_at: DateTime<Utc>,
    /// Bounds the wait, and again the execution.
    pub timeout: Duration,
    /// How long after its end the object is deleted.
    pub ttl: Duration,
    /// `metadata.resourceVersion` of the Query as it was seen, so that the first report need not read it.
    pub resource_version: Option<String>,
    /// W3C traceparent.
    pub trace: Option<String>,
    /// Whether `spec.cancel` is already set.
    pub canceled: bool,
    /// How it ends at once.
    pub outcome: Option<Outcome>,
}

/// What an enqueue found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// The execution is new.
    New,
    /// The key was taken.
    Existing(Existing),
}

/// An execution that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub execution: i64,
    /// How it ended, if it has.
    pub outcome_phase: Option<Phase>,
    /// Whether a cancel intent stands.
    pub cancel: bool,
}

impl Store {
    /// Inserts executions, in one transaction; each either new or found. A value that Postgres refuses ends its own
    /// execution as `Unstorable` and harms no other.
    pub async fn enqueue(&self, batch: &[NewExecution]) -> Result<Vec<Enqueued>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let enqueued = match self.enqueue_batch(batch).await {
            Err(error) if error.is_data() && batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                let mut enqueued = Box::pin(self.enqueue(left)).await?;
                enqueued.extend(Box::pin(self.enqueue(right)).await?);
                return Ok(enqueued);
            }
            Err(error) if error.is_data() => {
                tracing::warn!(uid = %batch[0].uid, error = %error, "a query cannot be stored and ends as an error");
                self.enqueue_batch(&[unstorable(&batch[0])]).await?
            }
            other => other?,
        };
        if enqueued.contains(&Enqueued::New) {
            self.nudge(super::READY).await?;
        }
        if batch
            .iter()
            .any(|new| new.outcome.is_some() || new.canceled)
        {
            self.nudge(super::REPORTS).await?;
        }
        Ok(enqueued)
    }

    async fn enqueue_batch(&self, batch: &[NewExecution]) -> Result<Vec<Enqueued>> {
        let mut tx = self.pool.begin().await?;
        insert_plans(&mut tx, batch).await?;
        let ids = insert_executions(&mut tx, batch).await?;
        let fresh: Vec<(i64, &NewExecution)> = batch
            .iter()
            .filter_map(|new| ids.get(&(new.uid, new.round)).map(|id| (*id, new)))
            .collect();
        let claimable: Vec<&(i64, &NewExecution)> = fresh
            .iter()
            .filter(|(_, new)| new.outcome.is_none() && !new.canceled && new.plan.is_some())
            .collect();
        let lanes = claimable
            .iter()
            .map(|(_, new)| (new.scope, new.namespace.clone()))
            .collect();
        hold_heads(&mut tx, &lanes).await?;
        insert_ready(&mut tx, &claimable).await?;
        insert_reports(&mut tx, &fresh).await?;
        insert_ended(&mut tx, &fresh).await?;
        let existing = self.existing(&mut tx, batch, &ids).await?;
        tx.commit().await?;
        Ok(batch
            .iter()
            .map(|new| match existing.get(&(new.uid, new.round)) {
                Some(existing) => Enqueued::Existing(existing.clone()),
                None => Enqueued::New,
            })
            .collect())
    }

    async fn existing(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        batch: &[NewExecution],
        fresh: &HashMap<(Uuid, i32), i64>,
    ) -> Result<HashMap<(Uuid, i32), Existing>> {
        let taken: Vec<&NewExecution> = batch
            .iter()
            .filter(|new| !fresh.contains_key(&(new.uid, new.round)))
            .collect();
        if taken.is_empty() {
            return Ok(HashMap::new());
        }
        let uids: Vec<Uuid> = taken.iter().map(|new| new.uid).collect();
        let rounds: Vec<i32> = taken.iter().map(|new| new.round).collect();
        // existing: the executions whose keys were taken, and how they ended.
        let rows = sqlx::query!(
            r#"select e.id, e.uid, e.round, e.cancel_at is not null as "cancel!", o.phase as "phase?"
               from unnest($1::uuid[], $2::integer[]) as t (uid, round)
               join queue.executions e on e.uid = t.uid and e.round = t.round
               left join queue.outcomes o on o.execution = e.id"#,
            &uids,
            &rounds,
        )
        .fetch_all(&mut **tx)
        .await?;
        rows.into_iter()
            .map(|row| {
                let outcome_phase = row.phase.as_deref().map(phase_from).transpose()?;
                let existing = Existing {
                    execution: row.id,
                    outcome_phase,
                    cancel: row.cancel,
                };
                Ok(((row.uid, row.round), existing))
            })
            .collect()
    }

    /// Tells listeners to look, in a transaction of its own so that no work waits behind the notification lock.
    pub(crate) async fn nudge(&self, channel: &str) -> Result<()> {
        // nudge
        sqlx::query!("select pg_notify($1, '')", channel)
            .fetch_one(&self.pool)
            .await?;
        Ok(())
    }
}

fn unstorable(new: &NewExecution) -> NewExecution {
    let outcome = Outcome::error(
        Class::Unstorable,
        "the query holds a value that the database cannot store; shorten or remove unusual text in spec",
    );
    NewExecution {
        plan: None,
        input: r#"{"targetType":"","targetName":"","text":""}"#.to_owned(),
        trace: None,
        outcome: Some(outcome),
        ..new.clone()
    }
}
