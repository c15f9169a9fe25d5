//! The rows of an enqueue, table by table, in one transaction.

use std::collections::{BTreeMap, HashMap};

use ark_plan::Outcome;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{NewExecution, NewPlan};
use crate::Result;

pub(super) async fn insert_plans(
    tx: &mut Transaction<'_, Postgres>,
    batch: &[NewExecution],
) -> Result<()> {
    let plans: BTreeMap<[u8; 32], &NewPlan> = batch
        .iter()
        .filter_map(|new| new.plan.as_deref())
        .map(|plan| (plan.hash, plan))
        .collect();
    let hashes: Vec<Vec<u8>> = plans.keys().map(|hash| hash.to_vec()).collect();
    let formats: Vec<i16> = plans.values().map(|plan| plan.format).collect();
    let bodies: Vec<String> = plans.values().map(|plan| plan.body.clone()).collect();
    // insert_plans: once per content, in the order of their hashes. A plan whose last use is noted as less than ten
    // minutes ago cannot be purged soon; an older one is noted as used now, which a purge waits for or has to heed.
    sqlx::query!(
        "insert into queue.plans as p (hash, format, body)
         select t.hash, t.format, t.body
         from unnest($1::bytea[], $2::smallint[], $3::text[]) as t (hash, format, body)
         where not exists (select from queue.plans o where o.hash = t.hash
                           and o.created_at > clock_timestamp() - interval '10 min')
         order by t.hash
         on conflict (hash) do update set created_at = clock_timestamp()",
        &hashes,
        &formats,
        &bodies,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_executions(
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
    // insert_executions: in the order of their keys, so that two dispatchers cannot deadlock. A deadline of the past is
    // one of now: behind it nobody looks any more.
    let rows = sqlx::query!(
        "insert into queue.executions
             (uid, round, namespace, name, plan, plan_format, input, scope, class, created_at, timeout, wait_until,
              trace, ttl, cancel_at)
         select uid, round, namespace, name, plan, plan_format, input, scope, class, created_at,
                make_interval(secs => timeout),
                greatest(created_at + make_interval(secs => timeout), clock_timestamp()), trace,
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

pub(super) async fn insert_ready(
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

pub(super) async fn insert_reports(
    tx: &mut Transaction<'_, Postgres>,
    fresh: &[(i64, &NewExecution)],
) -> Result<()> {
    let ids: Vec<i64> = fresh.iter().map(|(id, _)| *id).collect();
    let versions: Vec<Option<String>> = fresh
        .iter()
        .map(|(_, new)| new.resource_version.clone())
        .collect();
    // insert_reports: the waiting itself is shown only after it has lasted a second.
    sqlx::query!(
        "insert into queue.reports (execution, wanted, final, due_at, resource_version)
         select id, 1, false, clock_timestamp() + interval '1 s', version
         from unnest($1::bigint[], $2::text[]) as t (id, version)",
        &ids,
        &versions as &[Option<String>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_ended(
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
