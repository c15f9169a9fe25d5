//! The objects that a scenario needs: made before the run, and removed after it with all its Queries.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, stream};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, PartialObjectMeta};
use kube::discovery::Scope;
use kube::{Client, ResourceExt, discovery};
use serde_json::Value;
use tokio::time::Instant;

use super::query::{self, LABEL};

/// Deletes in flight.
const CONCURRENCY: usize = 16;
/// How long an object may take to go after it was deleted.
const GOING: Duration = Duration::from_secs(60);
/// Queries of one page of the list by which they are removed.
const PAGE: u32 = 500;

/// What was made for a run.
pub(super) struct Setup {
    client: Client,
    run: String,
    made: Vec<(Api<DynamicObject>, String)>,
}

impl Setup {
    pub(super) fn new(client: Client, run: String) -> Self {
        Self {
            client,
            run,
            made: Vec::new(),
        }
    }

    /// Makes the namespaces that are missing, and the objects in their order; one without a namespace is made in each that Queries are created in.
    ///
    /// # Errors
    /// When an object is refused, or another one of its name is there that no load test has made.
    /// The value of the label that everything made carries.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) async fn make(
        &mut self,
        objects: &[Value],
        namespaces: &BTreeSet<String>,
        provider: &str,
    ) -> anyhow::Result<()> {
        for namespace in namespaces {
            self.make_namespace(namespace).await?;
        }
        for object in objects {
            let mut object = object.clone();
            query::fill(&mut object, &[("provider", provider)]);
            let object: DynamicObject = serde_json::from_value(object)
                .context("an entry of setup is no Kubernetes object")?;
            let types = object.types.as_ref();
            let types = types.context("an entry of setup has no apiVersion and kind")?;
            let kind = GroupVersionKind::try_from(types)?;
            let found = discovery::pinned_kind(&self.client, &kind).await;
            let (resource, abilities) =
                found.with_context(|| format!("the server has no {}", types.kind))?;
            if abilities.scope == Scope::Cluster {
                let api = Api::all_with(self.client.clone(), &resource);
                self.make_one(api, object).await?;
                continue;
            }
            let named = object.namespace();
            let places = match named {
                Some(namespace) => BTreeSet::from([namespace]),
                None => namespaces.clone(),
            };
            for namespace in &places {
                let api = Api::namespaced_with(self.client.clone(), namespace, &resource);
                let mut object = object.clone();
                object.metadata.namespace = Some(namespace.to_owned());
                self.make_one(api, object).await?;
            }
        }
        Ok(())
    }

    async fn make_namespace(&mut self, name: &str) -> anyhow::Result<()> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
        let mut namespace = DynamicObject::new(name, &kind);
        namespace
            .labels_mut()
            .insert(LABEL.to_owned(), self.run.clone());
        let there = api.get_metadata_opt(name).await;
        let going = |there: &PartialObjectMeta<_>| there.metadata.deletion_timestamp.is_some();
        if there.ok().flatten().as_ref().is_some_and(going) {
            let gone = until_gone(&api, name).await;
            gone.with_context(|| format!("cannot create namespace {name}"))?;
        }
        match api.create(&PostParams::default(), &namespace).await {
            Ok(_) => self.made.push((api, name.to_owned())),
            // It is there, is somebody else's business, or the server has no namespaces as objects: that 404 may come
            // with a list of paths, in which the client finds no code.
            Err(kube::Error::Api(status)) if [0, 403, 404, 409].contains(&status.code) => {}
            Err(error) => {
                return Err(said(error)).context(format!("cannot create namespace {name}"));
            }
        }
        Ok(())
    }

    async fn make_one(
        &mut self,
        api: Api<DynamicObject>,
        mut object: DynamicObject,
    ) -> anyhow::Result<()> {
        object
            .labels_mut()
            .insert(LABEL.to_owned(), self.run.clone());
        let name = object.name_any();
        let kind = object
            .types
            .as_ref()
            .map_or("", |types| &types.kind)
            .to_owned();
        let params = PostParams::default();
        let made = match api.create(&params, &object).await {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                let there = api.get(&name).await;
                let there = there.with_context(|| format!("cannot read {kind} {name}"))?;
                if !there.labels().contains_key(LABEL) {
                    ensure!(
                        says(&there.data, &object.data),
                        "another {kind} {name} is there already; no load test has made it"
                    );
                    return Ok(());
                }
                object.metadata.resource_version = there.resource_version();
                api.replace(&name, &params, &object).await
            }
            made => made,
        };
        made.map_err(said)
            .with_context(|| format!("cannot create {kind} {name}"))?;
        self.made.push((api, name));
        Ok(())
    }

    /// Removes all Queries of the run and the objects made for it; says what could not be removed.
    pub(super) async fn remove(self, namespaces: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        for namespace in namespaces {
            if let Err(error) = self.remove_queries(namespace).await {
                problems.push(format!(
                    "Queries of this run are left in {namespace}: {error:#}"
                ));
            }
        }
        for (api, name) in self.made.iter().rev() {
            let gone = async {
                delete(api, name).await.map_err(said)?;
                until_gone(api, name).await
            };
            if let Err(error) = gone.await {
                problems.push(format!("{name} is left: {error:#}"));
            }
        }
        problems
    }

    async fn remove_queries(&self, namespace: &str) -> anyhow::Result<()> {
        let queries: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &query::resource());
        let params = ListParams::default()
            .labels(&format!("{LABEL}={}", self.run))
            .limit(PAGE);
        let mut last: Vec<String> = Vec::new();
        loop {
            let page = queries.list(&params).await?;
            let names: Vec<String> = page.items.iter().map(ResourceExt::name_any).collect();
            if names.is_empty() {
                return Ok(());
            }
            if names == last {
                bail!("{} of them stay although they were deleted", names.len());
            }
            let deletes = names.iter().map(|name| delete(&queries, name));
            let mut deletes = stream::iter(deletes).buffer_unordered(CONCURRENCY);
            while let Some(deleted) = deletes.next().await {
                deleted?;
            }
            drop(deletes);
            last = names;
        }
    }
}

/// Whether an object says everything that a wanted one says; it may say more.
fn says(object: &Value, wanted: &Value) -> bool {
    match (object, wanted) {
        (Value::Object(object), Value::Object(wanted)) => wanted.iter().all(|(name, wanted)| {
            let member = object.get(name);
            member.is_some_and(|member| says(member, wanted))
        }),
        (Value::Array(object), Value::Array(wanted)) => {
            object.len() == wanted.len()
                && object
                    .iter()
                    .zip(wanted)
                    .all(|(object, wanted)| says(object, wanted))
        }
        _ => object == wanted,
    }
}

/// The server's sentence alone, where there is one.
fn said(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => anyhow::anyhow!(status.message.clone()),
        error => error.into(),
    }
}

/// Deletes an object that may be gone already.
async fn delete(api: &Api<DynamicObject>, name: &str) -> kube::Result<()> {
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until an object that is being deleted is gone; a namespace takes a while.
async fn until_gone(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + GOING;
    while api.get_metadata_opt(name).await?.is_some() {
        ensure!(
            Instant::now() < deadline,
            "it is being deleted since {GOING:?} and still there"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_may_say_more_than_is_wanted_but_nothing_else() {
        let there = json!({"spec": {"type": "builtin", "builtin": {"name": "noop"}}, "status": {}});
        assert!(says(
            &there,
            &json!({"spec": {"builtin": {"name": "noop"}}})
        ));
        assert!(!says(
            &there,
            &json!({"spec": {"builtin": {"name": "terminate"}}})
        ));
        assert!(!says(&there, &json!({"spec": {"description": "new"}})));
    }
}
