//! The objects that a scenario needs: made before the run, and removed after it with all its Queries.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use futures::{StreamExt, stream};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use kube::{Client, ResourceExt, discovery};
use serde_json::Value;

use super::query::{self, LABEL};

/// Deletes in flight.
const CONCURRENCY: usize = 16;
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

    /// Makes the objects in their order; one without a namespace is made in each that Queries are created in.
    ///
    /// # Errors
    /// When an object is refused, or one of its name is there that no load test has made.
    /// The value of the label that everything made carries.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) async fn make(
        &mut self,
        objects: &[Value],
        namespaces: &BTreeSet<&str>,
        provider: &str,
    ) -> anyhow::Result<()> {
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
            let places = match &named {
                Some(namespace) => BTreeSet::from([namespace.as_str()]),
                None => namespaces.clone(),
            };
            for namespace in places {
                let api = Api::namespaced_with(self.client.clone(), namespace, &resource);
                let mut object = object.clone();
                object.metadata.namespace = Some(namespace.to_owned());
                self.make_one(api, object).await?;
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
                    bail!("{kind} {name} is there already, and no load test has made it");
                }
                object.metadata.resource_version = there.resource_version();
                api.replace(&name, &params, &object).await
            }
            made => made,
        };
        made.with_context(|| format!("cannot create {kind} {name}"))?;
        self.made.push((api, name));
        Ok(())
    }

    /// Removes all Queries of the run and the objects made for it; says what could not be removed.
    pub(super) async fn remove(self, namespaces: &BTreeSet<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        for namespace in namespaces {
            if let Err(error) = self.remove_queries(namespace).await {
                problems.push(format!(
                    "Queries of this run are left in {namespace}: {error:#}"
                ));
            }
        }
        for (api, name) in self.made.iter().rev() {
            if let Err(error) = delete(api, name).await {
                problems.push(format!("{name} is left: {error}"));
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

/// Deletes an object that may be gone already.
async fn delete(api: &Api<DynamicObject>, name: &str) -> kube::Result<()> {
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
