//! Compares Queries and executions both ways at intervals, for whatever the watch did not show: nothing is lost for good.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::api::Unavailable;
use crate::decide::{Known, Seen};
use crate::open::Tracked;
use crate::watch::{Execution, Live, Watcher, uid};

const AT_ONCE: usize = 16;

/// A Query and an execution that may not agree.
#[derive(Debug)]
struct Stray {
    tracked: Tracked,
    /// What the queue has; none when it has no such execution.
    known: Option<Known>,
}

/// Compares for ever; the first time one interval after the start, which compares as well.
pub(crate) async fn compare(watcher: Arc<Watcher>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // In this order: what was enqueued before is live after, and what is live is open unless its object is gone.
        let tracked = watcher.open.tracked();
        let live = watcher.live().await;
        let is_open = |uid| watcher.open.known(uid).is_some();
        let looks: Vec<_> = strays(tracked, live, is_open);
        let looks = looks
            .into_iter()
            .map(|stray| look_again(watcher.clone(), stray));
        let looks: Vec<_> = futures::stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let failed = looks.iter().filter(|result| result.is_err()).count();
        if failed > 0 {
            watcher.metrics.outage("api");
            tracing::warn!(
                failed,
                "queries could not be compared with their executions and will be later"
            );
        }
    }
}

// Executions that ended are left to their ttl, whose deletion notices an object that is gone.
fn strays(tracked: Vec<Tracked>, live: Live, is_open: impl Fn(uuid::Uuid) -> bool) -> Vec<Stray> {
    let of_queries = tracked
        .into_iter()
        .filter_map(|tracked| match live.get(&tracked.uid) {
            Some(Execution::Open { .. }) => None,
            other => Some(Stray {
                known: other.map(Execution::known),
                tracked,
            }),
        });
    let mut strays: Vec<Stray> = of_queries.collect();
    strays.extend(live.into_iter().filter_map(|(uid, execution)| {
        let known = Some(execution.known());
        match execution {
            Execution::Open { namespace, name } if !is_open(uid) => Some(Stray {
                tracked: Tracked {
                    uid,
                    namespace,
                    name,
                },
                known,
            }),
            _ => None,
        }
    }));
    strays
}

async fn look_again(watcher: Arc<Watcher>, stray: Stray) -> Result<(), Unavailable> {
    let Tracked {
        uid: expected,
        namespace,
        name,
    } = &stray.tracked;
    let query = watcher.get(namespace, name).await?;
    let Some(query) = query.filter(|query| uid(query) == Some(*expected)) else {
        watcher.metrics.strays.inc();
        tracing::info!(uid = %expected, namespace, name, "an execution has no query any more");
        watcher.forget(*expected);
        return Ok(());
    };
    if !Seen::of(&json!({"status": query.data["status"]})).ended {
        watcher.metrics.strays.inc();
        tracing::info!(uid = %expected, namespace, name, "a query and its execution differ and are brought together");
    }
    // What this process believed is not so: the queue's word counts.
    if !matches!(stray.known, Some(Known::Enqueued { .. })) {
        watcher.open.close(*expected);
    }
    watcher.applied(query, stray.known).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_does_not_agree_is_looked_at() {
        let [missing, ended, fine, orphan, planning, past] = [0; 6].map(|_| Uuid::new_v4());
        let tracked = |uid| Tracked {
            uid,
            namespace: "n".into(),
            name: "q".into(),
        };
        let open = || Execution::Open {
            namespace: "n".into(),
            name: "q".into(),
        };
        let live = Live::from([
            (ended, Execution::Ended),
            (fine, open()),
            (orphan, open()),
            (planning, open()),
            (past, Execution::Ended),
        ]);
        let is_open = |uid| [missing, ended, fine, planning].contains(&uid);
        let strays = strays(
            vec![tracked(missing), tracked(ended), tracked(fine)],
            live,
            is_open,
        );
        let found: Vec<_> = strays
            .iter()
            .map(|stray| (stray.tracked.uid, stray.known))
            .collect();
        let since_before = Some(Known::Enqueued {
            cancel: false,
            ttl: None,
        });
        assert_eq!(
            found,
            [
                (missing, None),
                (ended, Some(Known::Ended)),
                (orphan, since_before)
            ]
        );
    }
}
