//! The log of changes, in commit order, and its compaction.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::Key;
use crate::{Error, Result, Store};

/// How wide a partition of `changes` is, in revisions.
const PARTITION: i64 = 50_000;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was removed.
    Deleted,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change.
    pub resource_version: i64,
    /// The object.
    pub key: Key,
    /// Its uid.
    pub uid: Uuid,
    /// What happened.
    pub op: Op,
    /// The object's text before the change; absent when it was created.
    pub before: Option<String>,
    /// Its text after the change; for a removal the last state, with the removal's revision.
    pub after: String,
}

/// A piece of the log.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Everything up to this revision has been looked at.
    pub head: i64,
    /// The changes, in order.
    pub events: Vec<Event>,
}

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revisions {
    /// The newest revision; 0 before the first write.
    pub head: i64,
    /// Revisions below this one can no longer be read back.
    pub compacted: i64,
}

pub(super) async fn revisions_in(tx: &mut Transaction<'_, Postgres>) -> Result<Revisions> {
    // revisions
    let row = sqlx::query!(
        r#"select coalesce((select max(rv) from public.changes), 0) as "head!",
                  (select compacted_rv from public.compaction) as "compacted!""#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Revisions {
        head: row.head,
        compacted: row.compacted,
    })
}

impl Store {
    /// The newest revision and the compaction floor.
    pub async fn revisions(&self) -> Result<Revisions> {
        let mut tx = self.pool.begin().await?;
        let revisions = revisions_in(&mut tx).await?;
        tx.commit().await?;
        Ok(revisions)
    }

    /// Up to `limit` changes after a revision: of one kind, or of all when `kind` is `None`.
    pub async fn changes(
        &self,
        kind: Option<(&str, &str)>,
        after: i64,
        limit: i64,
    ) -> Result<Changes> {
        let mut tx = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?;
        let revisions = revisions_in(&mut tx).await?;
        if after < revisions.compacted {
            return Err(Error::Compacted {
                asked: after,
                compacted: revisions.compacted,
            });
        }
        let (group, name) = kind.map_or((None, None), |(group, kind)| (Some(group), Some(kind)));
        // changes
        let rows = sqlx::query!(
            "select rv, api_group, kind, namespace, name, uid, op, before, after from public.changes
             where rv > $1 and ($2::text is null or api_group = $2) and ($3::text is null or kind = $3)
             order by rv limit $4",
            after,
            group,
            name,
            limit,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let full = rows.len() as i64 == limit;
        let head = match rows.last() {
            Some(last) if full => last.rv,
            _ => revisions.head.max(after),
        };
        let events = rows
            .into_iter()
            .map(|row| {
                Ok(Event {
                    resource_version: row.rv,
                    key: Key {
                        group: row.api_group,
                        kind: row.kind,
                        namespace: row.namespace,
                        name: row.name,
                    },
                    uid: row.uid,
                    op: match row.op {
                        1 => Op::Added,
                        2 => Op::Modified,
                        3 => Op::Deleted,
                        other => return Err(Error::Corrupt(format!("unknown change {other}"))),
                    },
                    before: row.before,
                    after: row.after,
                })
            })
            .collect::<Result<Vec<Event>>>()?;
        Ok(Changes { head, events })
    }

    /// Drops the partitions of the log in which everything is older than `keep`, never the newest, and raises the
    /// compaction floor with them. Returns how many went.
    pub async fn compact(&self, keep: Duration) -> Result<u64> {
        let head = self.revisions().await?.head;
        let mut dropped = 0;
        loop {
            let mut tx = self.pool.begin().await?;
            // oldest_change: where the log begins.
            let oldest = sqlx::query_scalar!("select min(rv) from public.changes")
                .fetch_one(&mut *tx)
                .await?;
            let Some(part) = oldest
                .map(|rv| rv / PARTITION)
                .filter(|part| *part < head / PARTITION)
            else {
                return Ok(dropped);
            };
            let floor = (part + 1) * PARTITION;
            // is_old
            let old = sqlx::query_scalar!(
                r#"select coalesce(max(at) < clock_timestamp() - make_interval(secs => $3), true) as "old!"
                   from public.changes where rv >= $1 and rv < $2"#,
                part * PARTITION,
                floor,
                keep.as_secs_f64(),
            )
            .fetch_one(&mut *tx)
            .await?;
            if !old {
                return Ok(dropped);
            }
            // own_the_log: dropping a partition needs the whole log for itself. Whoever reads it for long, such as a backup,
            // is not waited for, because everybody else would wait behind this.
            sqlx::query("set local lock_timeout = '100ms'")
                .execute(&mut *tx)
                .await?;
            sqlx::query("lock table public.changes in access exclusive mode")
                .execute(&mut *tx)
                .await?;
            // raise_floor: in the transaction that drops, so that no reader finds a hole.
            sqlx::query!(
                "update public.compaction set compacted_rv = greatest(compacted_rv, $1)",
                floor - 1
            )
            .execute(&mut *tx)
            .await?;
            // drop_partition: the name is made of a number.
            let drop = format!("drop table public.changes_{part}");
            sqlx::query(sqlx::AssertSqlSafe(drop))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            dropped += 1;
        }
    }
}
