//! Lanes and their heads: a head stands wherever work may wait.

use std::collections::BTreeSet;

use sqlx::{Postgres, Transaction};

use crate::Result;

/// A lane: the unit of fairness and of limits.
pub(super) type Lane = (i64, String);

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
