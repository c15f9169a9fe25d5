//! Turns a Query into the row that the queue gets: with a plan, or with the outcome that says why there is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ark_api::Query;
use ark_api::admission::{self, ModelUrlPolicy, Reference};
use ark_plan::resolve::{
    self, Found, Kind, Object, ObjectKey, Options, Resolution, Resolved, Unplannable,
};
use ark_plan::{Class, Outcome};
use ark_store::NewExecution;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::Config;
use crate::api::Unavailable;
use crate::authorize::{Access, Account, Authorizer};
use crate::decide::Seen;
use crate::execution;
use crate::fetch::Objects;
use crate::metrics::{ClassLabel, Metrics};
use crate::open::{OpenQueries, Sighting};
use crate::outage::pauses;
use crate::select::Selections;
use crate::trace;

// Planning mostly waits for the API, which reads each object for many Queries at once.
const AT_ONCE: usize = 512;
const PATIENCE: Duration = Duration::from_secs(5);

/// Plans Queries.
pub(crate) struct Planner {
    objects: Objects,
    selections: Selections,
    authorizer: Authorizer,
    open: Arc<OpenQueries>,
    news: mpsc::Sender<NewExecution>,
    metrics: Metrics,
    model_url_policy: ModelUrlPolicy,
    lenient_secrets: bool,
    permits: Arc<Semaphore>,
}

/// Plans each uid that comes, many at once; each until it succeeds or its Query is gone.
pub(crate) async fn plan(planner: Arc<Planner>, mut uids: mpsc::Receiver<Uuid>) {
    let mut tasks = JoinSet::new();
    while let Some(uid) = uids.recv().await {
        while let Some(done) = tasks.try_join_next() {
            done.expect("planning a query does not panic");
        }
        let permit = planner.permit().await;
        let span = trace::plan(uid);
        tasks.spawn(planner.clone().plan(uid, permit).instrument(span));
    }
}

impl Planner {
    pub(crate) fn new(
        config: &Config,
        client: kube::Client,
        open: Arc<OpenQueries>,
        news: mpsc::Sender<NewExecution>,
    ) -> Self {
        Self {
            objects: Objects::new(client.clone(), config.metrics.clone()),
            selections: Selections::new(client.clone(), config.metrics.clone()),
            authorizer: Authorizer::new(config.authorization, client, config.metrics.clone()),
            open,
            news,
            metrics: config.metrics.clone(),
            model_url_policy: config.model_url_policy,
            lenient_secrets: config.lenient_secrets,
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        let permit = self.permits.clone().acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }

    async fn plan(self: Arc<Self>, uid: Uuid, mut permit: OwnedSemaphorePermit) {
        let mut pauses = pauses(PATIENCE);
        while let Some(sighting) = self.open.sighting(uid) {
            if Seen::of(&sighting.query).ended {
                return self.open.close(uid);
            }
            match self.execution(uid, &sighting).await {
                Ok(new) => {
                    let span = Span::current();
                    trace::planned(&span, &new);
                    self.metrics.planned(sighting.since.elapsed(), &span);
                    // The receiver ends only together with the whole dispatcher.
                    let _ = self.news.send(new).await;
                    return;
                }
                Err(error) => {
                    self.metrics.outage("api");
                    tracing::warn!(%uid, %error, "a query waits for the API");
                    // Who waits for an object that cannot be read must not keep others from planning.
                    drop(permit);
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                    permit = self.permit().await;
                }
            }
        }
        self.open.abandon(uid);
    }

    async fn execution(&self, uid: Uuid, sighting: &Sighting) -> Result<NewExecution, Unavailable> {
        let query = &*sighting.query;
        let bare = execution::bare(uid, query);
        if bare.canceled {
            return Ok(bare);
        }
        match self.resolve(query, sighting.since).await? {
            Ok(resolved) => Ok(execution::with_plan(bare, &resolved)),
            Err(why) => {
                let class = why.class.as_str();
                self.metrics
                    .unplannable
                    .get_or_create(&ClassLabel { class })
                    .inc();
                tracing::info!(%uid, class, sentence = why.sentence, "a query cannot be planned");
                let outcome = Some(Outcome::error(why.class, why.sentence));
                Ok(NewExecution { outcome, ..bare })
            }
        }
    }

    async fn resolve(
        &self,
        query: &Value,
        since: Instant,
    ) -> Result<Result<Resolved, Unplannable>, Unavailable> {
        let mut query = match self.admit(query, since).await? {
            Ok(query) => query,
            Err(why) => return Ok(Err(why)),
        };
        if let Err(why) = self.selections.follow(&mut query, since).await? {
            return Ok(Err(why));
        }
        let options = Options {
            lenient_secrets: self.lenient_secrets,
            model_url_policy: self.model_url_policy,
        };
        let mut found = Found::new();
        let resolved = loop {
            match resolve::resolve(&query, &found, options) {
                Resolution::Resolved(resolved) => break resolved,
                Resolution::Unplannable(why) => return Ok(Err(why)),
                Resolution::Needs(needs) => {
                    let reads = needs.into_iter().map(|key| async move {
                        let object = self.objects.get(&key, since).await?;
                        Ok((key, object))
                    });
                    found.extend(futures::future::try_join_all(reads).await?);
                }
            }
        };
        let (account, accesses) = accesses(&query, &resolved);
        Ok(match self.authorizer.refusal(&account, &accesses).await? {
            None => Ok(*resolved),
            Some(refusal) => Err(unplannable(query_name(&json!(query)), refusal)),
        })
    }

    /// Ark's defaulting and validation, which a server with plain CRDs does not do.
    async fn admit(
        &self,
        query: &Value,
        since: Instant,
    ) -> Result<Result<Query, Unplannable>, Unavailable> {
        let references = admission::references("Query", query);
        let reads = references.into_iter().map(|reference| async move {
            let object = match object_key(&reference) {
                Some(key) => self.objects.get(&key, since).await?,
                None => None,
            };
            Ok((reference, object.map(|object| outline(&object))))
        });
        let found: admission::Found = futures::future::try_join_all(reads)
            .await?
            .into_iter()
            .collect();
        let mut query = query.clone();
        admission::default("Query", &mut query, &found);
        let verdict = admission::validate("Query", &query, &found, self.model_url_policy);
        if let Some(error) = verdict.errors.first() {
            return Ok(Err(unplannable(query_name(&query), error.to_string())));
        }
        let typed = serde_json::from_value(query.clone());
        Ok(typed.map_err(|error| {
            unplannable(
                query_name(&query),
                format!("it does not fit its kind ({error})"),
            )
        }))
    }
}

fn unplannable(query: String, why: String) -> Unplannable {
    Unplannable {
        class: Class::Configuration,
        sentence: format!("{query}: {why}"),
    }
}

fn query_name(query: &Value) -> String {
    let metadata = &query["metadata"];
    let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
    format!("Query {}/{}", text("namespace"), text("name"))
}

fn object_key(reference: &Reference) -> Option<ObjectKey> {
    let kind = match reference.kind.as_str() {
        "Agent" => Kind::Agent,
        "Model" => Kind::Model,
        "Tool" => Kind::Tool,
        "Team" => Kind::Team,
        "ArkConfig" => Kind::ArkConfig,
        "ConfigMap" => Kind::ConfigMap,
        "Secret" => Kind::Secret,
        _ => return None,
    };
    Some(ObjectKey {
        kind,
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
    })
}

// What validation looks at: that an object is there, and the keys of a Secret or ConfigMap, but no Secret's value.
fn outline(object: &Object) -> Value {
    match object {
        Object::ConfigMap(data) => json!({"kind": "ConfigMap", "data": **data}),
        Object::Secret(keys) => {
            let data: serde_json::Map<_, _> = keys
                .iter()
                .map(|key| (key.clone(), json!("LQ==")))
                .collect();
            json!({"kind": "Secret", "data": data})
        }
        Object::ArkConfig(config) => json!(**config),
        _ => json!({}),
    }
}

// A named account must be able to get the target; Secrets that reach a prompt need a right in any case.
fn accesses(query: &Query, resolved: &Resolved) -> (Account, Vec<Access>) {
    let namespace = query.metadata.namespace.clone().unwrap_or_default();
    let mut accesses = Vec::new();
    if let (Some(_), Some(target)) = (&query.spec.service_account, &query.spec.target) {
        let resource = match target.type_.as_str() {
            "agent" => "agents",
            "model" => "models",
            "team" => "teams",
            _ => "tools",
        };
        accesses.push(Access {
            group: ark_api::GROUP,
            resource,
            namespace: namespace.clone(),
            name: target.name.clone(),
        });
    }
    accesses.extend(
        resolved
            .prompt_secrets
            .iter()
            .map(|(namespace, name)| Access {
                group: "",
                resource: "secrets",
                namespace: namespace.clone(),
                name: name.clone(),
            }),
    );
    let name = query
        .spec
        .service_account
        .clone()
        .unwrap_or_else(|| "default".to_owned());
    (Account { namespace, name }, accesses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_never_sees_a_secrets_value() {
        let secret = Object::Secret(Arc::new(["token".to_owned()].into()));
        assert_eq!(
            outline(&secret),
            json!({"kind": "Secret", "data": {"token": "LQ=="}})
        );
    }
}
