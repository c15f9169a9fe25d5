//! Reading objects as they are, and lists as they were at a revision.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{ARK_GROUP, Key};
use crate::{Error, Result, Store};

/// An object as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Its uid.
    pub uid: Uuid,
    /// The revision of its last write.
    pub resource_version: i64,
    /// Canonical JSON text.
    pub object: String,
}

/// Which objects are listed.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only this name.
    pub name: Option<String>,
    /// As they were at this revision; the newest when absent.
    pub at: Option<i64>,
    /// After this (namespace, name), bytewise.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub limit: Option<i64>,
}

impl ListQuery {
    fn texts(&self) -> impl Iterator<Item = &str> {
        let after = self.after.iter().flat_map(|after| [&after.0, &after.1]);
        let texts = self.namespace.iter().chain(&self.name).chain(after);
        texts.map(String::as_str)
    }
}

/// Postgres refuses the character in every value, also in one that is only compared; no object has it in its key.
fn is_impossible(text: &str) -> bool {
    text.contains('\0')
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The revision that the page shows.
    pub resource_version: i64,
    /// The objects by (namespace, name), bytewise.
    pub items: Vec<Stored>,
    /// Whether more follow.
    pub more: bool,
    /// How many follow; counted only when more follow.
    pub remaining: i64,
}

impl Store {
    /// An object as it is now.
    pub async fn get(&self, key: &Key) -> Result<Option<Stored>> {
        if is_impossible(&key.namespace) || is_impossible(&key.name) {
            return Ok(None);
        }
        let stored = if key.group == ARK_GROUP {
            // get
            sqlx::query_as!(
                Stored,
                "select namespace, name, uid, resource_version, object from public.resources
                 where kind = $1 and namespace = $2 and name = $3",
                key.kind,
                key.namespace,
                key.name,
            )
            .fetch_optional(&self.pool)
            .await?
        } else {
            // get_core
            sqlx::query_as!(
                Stored,
                "select namespace, name, uid, resource_version, object from public.core_objects
                 where api_group = $1 and kind = $2 and namespace = $3 and name = $4",
                key.group,
                key.kind,
                key.namespace,
                key.name,
            )
            .fetch_optional(&self.pool)
            .await?
        };
        Ok(stored)
    }

    /// A page of a list, from one snapshot.
    pub async fn list(&self, query: &ListQuery) -> Result<Page> {
        let mut tx = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?;
        let revisions = super::changes::revisions_in(&mut tx).await?;
        let at = query.at.unwrap_or(revisions.head);
        if at < revisions.compacted {
            return Err(Error::Compacted {
                asked: at,
                compacted: revisions.compacted,
            });
        }
        let limit = query.limit.unwrap_or(i64::MAX - 1);
        let mut items = if query.texts().any(is_impossible) {
            Vec::new()
        } else if at >= revisions.head {
            list_now(&mut tx, query, limit + 1).await?
        } else {
            list_at(&mut tx, query, at, limit + 1).await?
        };
        let more = items.len() as i64 > limit;
        items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let remaining = match items.last() {
            Some(last) if more => {
                let rest = ListQuery {
                    after: Some((last.namespace.clone(), last.name.clone())),
                    ..query.clone()
                };
                count(&mut tx, &rest).await?
            }
            _ => 0,
        };
        tx.commit().await?;
        Ok(Page {
            resource_version: at.max(0),
            items,
            more,
            remaining,
        })
    }
}

/// The bounds of a list as bind values: a namespace, a name, and the key after which it goes on.
fn bounds(query: &ListQuery) -> (Option<&str>, Option<&str>, &str, &str, bool) {
    let (namespace, name) = query
        .after
        .as_ref()
        .map_or(("", ""), |after| (after.0.as_str(), after.1.as_str()));
    (
        query.namespace.as_deref(),
        query.name.as_deref(),
        namespace,
        name,
        query.after.is_some(),
    )
}

async fn list_now(
    tx: &mut Transaction<'_, Postgres>,
    query: &ListQuery,
    limit: i64,
) -> Result<Vec<Stored>> {
    let (namespace, name, after_namespace, after_name, paged) = bounds(query);
    let items = if query.group == ARK_GROUP {
        // list_now
        sqlx::query_as!(
            Stored,
            "select namespace, name, uid, resource_version, object from public.resources
             where kind = $1 and ($2::text is null or namespace = $2) and ($3::text is null or name = $3)
               and (not $6 or (namespace, name) > ($4, $5))
             order by namespace, name limit $7",
            query.kind,
            namespace,
            name,
            after_namespace,
            after_name,
            paged,
            limit,
        )
        .fetch_all(&mut **tx)
        .await?
    } else {
        // list_core_now
        sqlx::query_as!(
            Stored,
            "select namespace, name, uid, resource_version, object from public.core_objects
             where api_group = $8 and kind = $1 and ($2::text is null or namespace = $2)
               and ($3::text is null or name = $3) and (not $6 or (namespace, name) > ($4, $5))
             order by namespace, name limit $7",
            query.kind,
            namespace,
            name,
            after_namespace,
            after_name,
            paged,
            limit,
            query.group,
        )
        .fetch_all(&mut **tx)
        .await?
    };
    Ok(items)
}

async fn list_at(
    tx: &mut Transaction<'_, Postgres>,
    query: &ListQuery,
    at: i64,
    limit: i64,
) -> Result<Vec<Stored>> {
    let (namespace, name, after_namespace, after_name, paged) = bounds(query);
    // list_at: a row that has not changed since is as it was; of each key that has, the state before its first change.
    let rows = sqlx::query!(
        r#"with later as (
               select distinct on (c.namespace, c.name) c.namespace, c.name, c.uid, c.before
               from public.changes c
               where c.api_group = $9 and c.kind = $1 and c.rv > $8
                 and ($2::text is null or c.namespace = $2) and ($3::text is null or c.name = $3)
                 and (not $6 or (c.namespace, c.name) > ($4, $5))
               order by c.namespace, c.name, c.rv
           )
           select s.namespace as "namespace!", s.name as "name!", s.uid as "uid!",
                  s.resource_version as "resource_version!", s.object as "object!"
           from (
               select namespace, name, uid, resource_version, object from public.resources
               where $9 = 'ark.mckinsey.com' and kind = $1 and resource_version <= $8
                 and ($2::text is null or namespace = $2) and ($3::text is null or name = $3)
                 and (not $6 or (namespace, name) > ($4, $5))
               union all
               select namespace, name, uid, resource_version, object from public.core_objects
               where api_group = $9 and kind = $1 and resource_version <= $8
                 and ($2::text is null or namespace = $2) and ($3::text is null or name = $3)
                 and (not $6 or (namespace, name) > ($4, $5))
               union all
               select namespace, name, uid, $8, before from later where before is not null
           ) s
           order by s.namespace collate "C", s.name collate "C" limit $7"#,
        query.kind,
        namespace,
        name,
        after_namespace,
        after_name,
        paged,
        limit,
        at,
        query.group,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Stored {
            namespace: row.namespace,
            name: row.name,
            uid: row.uid,
            resource_version: row.resource_version,
            object: row.object,
        })
        .collect())
}

async fn count(tx: &mut Transaction<'_, Postgres>, query: &ListQuery) -> Result<i64> {
    let (namespace, name, after_namespace, after_name, paged) = bounds(query);
    // count: how many there are now, which is what Kubernetes promises of remainingItemCount.
    let count = sqlx::query_scalar!(
        r#"select (select count(*) from public.resources
                   where $7 = 'ark.mckinsey.com' and kind = $1 and ($2::text is null or namespace = $2)
                     and ($3::text is null or name = $3) and (not $6 or (namespace, name) > ($4, $5)))
                + (select count(*) from public.core_objects
                   where api_group = $7 and kind = $1 and ($2::text is null or namespace = $2)
                     and ($3::text is null or name = $3) and (not $6 or (namespace, name) > ($4, $5))) as "count!""#,
        query.kind,
        namespace,
        name,
        after_namespace,
        after_name,
        paged,
        query.group,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}
