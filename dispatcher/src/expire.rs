//! Deletes finished Queries at their ttl, each only if it is still the same object.

use std::time::Duration;

use ark_api::Query;
use ark_store::{ExpiredObject, Store};
use futures::StreamExt;
use kube::Resource;
use kube::api::{DeleteParams, Preconditions};
use kube::core::Request;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::api::{Answer, Unavailable, send};
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
    match request(client, uid, &namespace, &name).await {
        Ok(Answer::Object(_)) => {
            metrics.expired.inc();
            tracing::debug!(%uid, namespace, name, "a query is deleted at its ttl");
        }
        // It is gone, or another one has its name: in both cases this execution has no object.
        Ok(Answer::Refused { missing, .. }) if missing.as_ref() == Some(&name) => {
            intents.send(uid, Intent::Forget)
        }
        Ok(Answer::Refused {
            code: 409, message, ..
        }) if message.contains("UID") => intents.send(uid, Intent::Forget),
        Ok(Answer::Refused { code, message, .. }) => {
            tracing::warn!(%uid, namespace, name, code, message, "a query cannot be deleted at its ttl");
        }
        Err(error) => {
            metrics.outage("api");
            tracing::warn!(%uid, namespace, name, %error, "a query cannot be deleted at its ttl yet");
        }
    }
}

async fn request(
    client: &kube::Client,
    uid: Uuid,
    namespace: &str,
    name: &str,
) -> Result<Answer, Unavailable> {
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_string()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let request = Request::new(Query::url_path(&(), Some(namespace))).delete(name, &parameters);
    let request = request.map_err(|error| Unavailable(error.to_string()))?;
    send(client, request).await
}
