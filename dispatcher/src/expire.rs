//! Deletes finished Queries at their ttl, each only if it is still the same object.

use std::time::Duration;

use ark_api::Query;
use ark_store::{ExpiredObject, Store};
use futures::StreamExt;
use kube::api::{Api, DeleteParams, DynamicObject, Preconditions};
use kube::core::ApiResource;
use tokio::time::MissedTickBehavior;

use crate::intents::{Intent, Intents};
use crate::metrics::Metrics;
use crate::outage::chain;

const EVERY: Duration = Duration::from_secs(2);
const BATCH: i64 = 200;
const AT_ONCE: usize = 16;

/// Deletes for ever. What fails is handed out again by the queue a minute later.
pub(crate) async fn expire(store: Store, client: kube::Client, intents: Intents, metrics: Metrics) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let expired = match store.expired(BATCH).await {
            Ok(expired) => expired,
            Err(error) => {
                metrics.outage("database");
                tracing::warn!(error = %chain(&error), "the deletion of expired queries waits for the database");
                continue;
            }
        };
        if expired.len() as i64 == BATCH {
            ticks.reset_immediately();
        }
        let deletions = expired
            .into_iter()
            .map(|object| delete(&client, &intents, &metrics, object));
        futures::stream::iter(deletions)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }
}

async fn delete(
    client: &kube::Client,
    intents: &Intents,
    metrics: &Metrics,
    expired: ExpiredObject,
) {
    let ExpiredObject {
        uid,
        namespace,
        name,
    } = expired;
    let resource = ApiResource::erase::<Query>(&());
    let queries: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_string()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let answer =
        tokio::time::timeout(Duration::from_secs(10), queries.delete(&name, &parameters)).await;
    match answer {
        Ok(Ok(_)) => {
            metrics.expired.inc();
            tracing::debug!(%uid, namespace, name, "a query is deleted at its ttl");
        }
        // It is gone, or another one has its name: in both cases this execution has no object.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
            intents.send(uid, Intent::Forget)
        }
        Ok(Err(error)) => {
            metrics.outage("api");
            tracing::warn!(%uid, namespace, name, error = %chain(&error), "a query cannot be deleted at its ttl yet");
        }
        Err(_) => metrics.outage("api"),
    }
}
