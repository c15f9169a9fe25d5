//! Manifest files: read, put in order, applied to an API server.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// The kinds that are applied, in their order: what is referred to stands before what refers to it.
const ORDER: [(&str, &str, &str); 11] = [
    ("v1", "Namespace", "namespaces"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("v1", "Secret", "secrets"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Service", "services"),
    ("ark.mckinsey.com/v1alpha1", "ArkConfig", "arkconfigs"),
    ("ark.mckinsey.com/v1alpha1", "Model", "models"),
    ("ark.mckinsey.com/v1alpha1", "Tool", "tools"),
    ("ark.mckinsey.com/v1alpha1", "Agent", "agents"),
    ("ark.mckinsey.com/v1alpha1", "Team", "teams"),
    ("ark.mckinsey.com/v1alpha1", "Query", "queries"),
];

/// One object of a manifest file.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// Where it stands: file and number of the document.
    pub(crate) origin: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) object: Value,
}

/// Reads files and folders of files, and puts their objects in the order in which they can be applied.
pub(crate) fn read(paths: &[PathBuf], namespace: &str) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for path in paths {
        for file in files(path)? {
            read_file(&file, namespace, &mut manifests)?;
        }
    }
    let rank = |manifest: &Manifest| ORDER.iter().position(|entry| entry.1 == manifest.kind);
    manifests.sort_by_key(rank);
    Ok(manifests)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|file| {
            file.extension()
                .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
        })
        .collect();
    files.sort();
    Ok(files)
}

fn read_file(file: &Path, namespace: &str, manifests: &mut Vec<Manifest>) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("{} is not YAML", file.display()))?;
    for (number, object) in documents
        .into_iter()
        .enumerate()
        .filter(|(_, object)| !object.is_null())
    {
        let origin = format!("{} (document {})", file.display(), number + 1);
        manifests.push(Manifest::from_object(origin, object, namespace)?);
    }
    Ok(())
}

impl Manifest {
    fn from_object(origin: String, mut object: Value, namespace: &str) -> anyhow::Result<Self> {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let Some(kind) = text("/kind") else {
            bail!("{origin}: `kind` is missing")
        };
        let Some(api_version) = text("/apiVersion") else {
            bail!("{origin}: `apiVersion` is missing")
        };
        let Some(known) = ORDER
            .iter()
            .find(|entry| entry.1 == kind && entry.0 == api_version)
        else {
            let kinds: Vec<&str> = ORDER.iter().map(|entry| entry.1).collect();
            bail!(
                "{origin}: {kind} of {api_version} is not run here; known are {}",
                kinds.join(", ")
            );
        };
        let Some(name) = text("/metadata/name").or_else(|| text("/metadata/generateName")) else {
            bail!("{origin}: {kind} has no metadata.name");
        };
        let cluster_scoped = ["Namespace", "ArkConfig"].contains(&known.1);
        let namespace = match text("/metadata/namespace") {
            _ if cluster_scoped => String::new(),
            Some(own) => own,
            None => {
                object["metadata"]["namespace"] = json!(namespace);
                namespace.to_owned()
            }
        };
        Ok(Self {
            origin,
            kind,
            namespace,
            name,
            object,
        })
    }

    /// Creates the object, or brings an existing one to what the manifest says. Warnings come from the server.
    pub(crate) async fn apply(&self, client: &Client) -> anyhow::Result<DynamicObject> {
        let api = self.api(client);
        let object: DynamicObject =
            serde_json::from_value(self.object.clone()).with_context(|| {
                format!(
                    "{}: {} {} has no proper metadata",
                    self.origin, self.kind, self.name
                )
            })?;
        let created = api.create(&PostParams::default(), &object).await;
        let applied = match created {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                api.patch(
                    &object.name_any(),
                    &PatchParams::default(),
                    &Patch::Merge(&self.object),
                )
                .await
            }
            other => other,
        };
        applied.map_err(|error| self.rejected(error))
    }

    fn rejected(&self, error: kube::Error) -> anyhow::Error {
        match error {
            kube::Error::Api(status) => anyhow::anyhow!("{}: {}", self.origin, status.message),
            other => anyhow::Error::new(other)
                .context(format!("{}: {} {}", self.origin, self.kind, self.name)),
        }
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        let (api_version, kind, plural) = ORDER
            .iter()
            .find(|entry| entry.1 == self.kind)
            .copied()
            .expect("only known kinds are read");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        if self.namespace.is_empty() {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), &self.namespace, &resource)
        }
    }
}

/// Namespaces that objects stand in and that no manifest makes.
pub(crate) fn missing_namespaces(manifests: &[Manifest]) -> Vec<Manifest> {
    let mut missing: Vec<String> = manifests
        .iter()
        .map(|manifest| manifest.namespace.clone())
        .filter(|namespace| {
            !["", "default", "kube-system", "ark-system"].contains(&namespace.as_str())
        })
        .filter(|namespace| {
            !manifests
                .iter()
                .any(|other| other.kind == "Namespace" && other.name == *namespace)
        })
        .collect();
    missing.sort();
    missing.dedup();
    missing
        .into_iter()
        .map(|name| Manifest {
            origin: format!("namespace {name}"),
            kind: "Namespace".to_owned(),
            namespace: String::new(),
            object: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            name,
        })
        .collect()
}

/// Sets parameters of every Query: an existing one gets the value, a missing one is added.
pub(crate) fn set_parameters(manifests: &mut [Manifest], inputs: &[(String, String)]) {
    for manifest in manifests
        .iter_mut()
        .filter(|manifest| manifest.kind == "Query")
    {
        for (name, value) in inputs {
            let spec = &mut manifest.object["spec"];
            let parameters = match spec["parameters"].as_array_mut() {
                Some(parameters) => parameters,
                None => {
                    spec["parameters"] = json!([]);
                    spec["parameters"].as_array_mut().expect("it was just made")
                }
            };
            parameters.retain(|parameter| parameter["name"] != name.as_str());
            parameters.push(json!({"name": name, "value": value}));
        }
    }
}
