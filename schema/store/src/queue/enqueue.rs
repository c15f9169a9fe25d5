//! A Query becomes one row: unique per (uid, round), so that a repeated enqueue finds the key taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ark_plan::{Class, Outcome, Phase};
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::phase_from;
use crate::{Result, Store};

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

/// A lane: the unit of fairness and of limits.
pub(super) type Lane = (i64, String);

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

async fn insert_plans(tx: &mut Transaction<'_, Postgres>, batch: &[NewExecution]) -> Result<()> {
    let plans: BTreeMap<[u8; 32], &NewPlan> = batch
        .iter()
        .filter_map(|new| new.plan.as_deref())
        .map(|plan| (plan.hash, plan))
        .collect();
    let hashes: Vec<Vec<u8>> = plans.keys().map(|hash| hash.to_vec()).collect();
    let formats: Vec<i16> = plans.values().map(|plan| plan.format).collect();
    let bodies: Vec<String> = plans.values().map(|plan| plan.body.clone()).collect();
    // insert_plans: once per content, in the order of their hashes.
    sqlx::query!(
        "insert into queue.plans (hash, format, body)
         select * from unnest($1::bytea[], $2::smallint[], $3::text[])
         on conflict (hash) do nothing",
        &hashes,
        &formats,
        &bodies,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_executions(
    tx: &mut Transaction<'_, Postgres>,
    batch: &[NewExecution],
) -> Result<HashMap<(Uuid, i32), i64>> {
    let column =
        |value: fn(&NewExecution) -> String| batch.iter().map(value).collect::<Vec<String>>();
    let uids: Vec<Uuid> = batch.iter().map(|new| new.uid).collect();
    let rounds: Vec<i32> = batch.iter().map(|new| new.round).collect();
    let plans: Vec<Option<Vec<u8>>> = batch
        .iter()
        .map(|new| new.plan.as_ref().map(|plan| plan.hash.to_vec()))
        .collect();
    let formats: Vec<i16> = batch
        .iter()
        .map(|new| {
            new.plan
                .as_ref()
                .map_or(ark_plan::FORMAT, |plan| plan.format)
        })
        .collect();
    let scopes: Vec<i64> = batch.iter().map(|new| new.scope).collect();
    let classes: Vec<i16> = batch.iter().map(|new| new.class).collect();
    let created: Vec<DateTime<Utc>> = batch.iter().map(|new| new.created_at).collect();
    let timeouts: Vec<f64> = batch.iter().map(|new| new.timeout.as_secs_f64()).collect();
    let ttls: Vec<f64> = batch.iter().map(|new| new.ttl.as_secs_f64()).collect();
    let traces: Vec<Option<String>> = batch.iter().map(|new| new.trace.clone()).collect();
    let canceled: Vec<bool> = batch.iter().map(|new| new.canceled).collect();
    // insert_executions: in the order of their keys, so that two dispatchers cannot deadlock.
    let rows = sqlx::query!(
        "insert into queue.executions
             (uid, round, namespace, name, plan, plan_format, input, scope, class, created_at, timeout, wait_until,
              trace, ttl, cancel_at)
         select uid, round, namespace, name, plan, plan_format, input, scope, class, created_at,
                make_interval(secs => timeout), created_at + make_interval(secs => timeout), trace,
                make_interval(secs => ttl), case when canceled then clock_timestamp() end
         from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bytea[], $6::smallint[], $7::text[],
                     $8::bigint[], $9::smallint[], $10::timestamptz[], $11::double precision[], $12::text[],
                     $13::double precision[], $14::boolean[])
              as t (uid, round, namespace, name, plan, plan_format, input, scope, class, created_at, timeout, trace,
                    ttl, canceled)
         order by uid, round
         on conflict (uid, round) do nothing
         returning id, uid, round",
        &uids,
        &rounds,
        &column(|new| new.namespace.clone()),
        &column(|new| new.name.clone()),
        &plans as &[Option<Vec<u8>>],
        &formats,
        &column(|new| new.input.clone()),
        &scopes,
        &classes,
        &created,
        &timeouts,
        &traces as &[Option<String>],
        &ttls,
        &canceled,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.uid, row.round), row.id))
        .collect())
}

/// Makes sure that each lane has a head until this transaction ends. A head is removed only by who holds it exclusively
/// and then finds its lane empty, so work inserted under this hold cannot be overlooked.
pub(super) async fn hold_heads(
    tx: &mut Transaction<'_, Postgres>,
    lanes: &BTreeSet<Lane>,
) -> Result<()> {
    let scopes: Vec<i64> = lanes.iter().map(|lane| lane.0).collect();
    let namespaces: Vec<String> = lanes.iter().map(|lane| lane.1.clone()).collect();
    loop {
        // hold_heads: find and share the heads that are there, in key order.
        let held = sqlx::query_scalar!(
            "select h.scope from unnest($1::bigint[], $2::text[]) as t (scope, namespace)
             join queue.heads h on h.scope = t.scope and h.namespace = t.namespace
             order by h.scope, h.namespace for key share of h",
            &scopes,
            &namespaces,
        )
        .fetch_all(&mut **tx)
        .await?;
        if held.len() == lanes.len() {
            return Ok(());
        }
        // insert_heads: a new lane starts at the lowest virtual time, so that it neither waits nor catches up.
        sqlx::query!(
            "insert into queue.heads (scope, namespace, vtime)
             select scope, namespace, coalesce((select min(vtime) from queue.heads), 0)
             from unnest($1::bigint[], $2::text[]) as t (scope, namespace)
             order by scope, namespace
             on conflict (scope, namespace) do nothing",
            &scopes,
            &namespaces,
        )
        .execute(&mut **tx)
        .await?;
    }
}

async fn insert_ready(
    tx: &mut Transaction<'_, Postgres>,
    claimable: &[&(i64, &NewExecution)],
) -> Result<()> {
    let ids: Vec<i64> = claimable.iter().map(|(id, _)| *id).collect();
    // insert_ready: in the order in which the dispatcher saw the Queries.
    sqlx::query!(
        "insert into queue.ready (scope, namespace, class, seq, execution, attempt, takeovers, plan_format)
         select e.scope, e.namespace, e.class, nextval('queue.ready_seq'), e.id, 0, 0, e.plan_format
         from unnest($1::bigint[]) with ordinality as t (id, place)
         join queue.executions e on e.id = t.id
         order by t.place",
        &ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_reports(
    tx: &mut Transaction<'_, Postgres>,
    fresh: &[(i64, &NewExecution)],
) -> Result<()> {
    let ids: Vec<i64> = fresh.iter().map(|(id, _)| *id).collect();
    // insert_reports: the waiting itself is shown only after it has lasted a second.
    sqlx::query!(
        "insert into queue.reports (execution, wanted, final, due_at)
         select id, 1, false, clock_timestamp() + interval '1 s' from unnest($1::bigint[]) as t (id)",
        &ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert_ended(
    tx: &mut Transaction<'_, Postgres>,
    fresh: &[(i64, &NewExecution)],
) -> Result<()> {
    let ended: Vec<(i64, Outcome)> = fresh
        .iter()
        .filter_map(|(id, new)| match &new.outcome {
            _ if new.canceled => Some((*id, Outcome::canceled())),
            Some(outcome) => Some((*id, outcome.clone())),
            None => None,
        })
        .collect();
    if ended.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = ended.iter().map(|(id, _)| *id).collect();
    let phases: Vec<String> = ended
        .iter()
        .map(|(_, outcome)| outcome.phase.as_str().to_owned())
        .collect();
    let classes: Vec<Option<String>> = ended
        .iter()
        .map(|(_, outcome)| outcome.class.map(|class| class.as_str().to_owned()))
        .collect();
    let bodies: Vec<String> = ended
        .iter()
        .map(|(_, outcome)| serde_json::to_string(outcome).expect("an outcome is plain data"))
        .collect();
    // insert_ended: executions that end without running, with their report.
    sqlx::query!(
        "with input as (
             select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as t (id, phase, class, body)
         ), ended as (
             insert into queue.outcomes (execution, phase, class, body)
             select id, phase, class, body from input
         )
         update queue.reports r
         set wanted = 2, final = true, due_at = clock_timestamp(), expires_at = clock_timestamp() + e.ttl
         from input join queue.executions e on e.id = input.id
         where r.execution = input.id",
        &ids,
        &phases,
        &classes as &[Option<String>],
        &bodies,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
