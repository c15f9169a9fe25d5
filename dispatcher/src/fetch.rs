//! Reads the objects that planning needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ark_api::admission;
use ark_plan::resolve::{Kind, Object, ObjectKey};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::Resource;
use kube::core::Request;
use kube::core::params::GetParams;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{Answer, Unavailable, send};
use crate::metrics::{KindLabel, Metrics};
use crate::readings::Readings;

/// Reads objects and remembers the last reading of each.
pub(crate) struct Objects {
    client: kube::Client,
    readings: Readings<ObjectKey, Option<Object>>,
    metrics: Metrics,
}

impl Objects {
    pub(crate) fn new(client: kube::Client, metrics: Metrics) -> Self {
        Self {
            client,
            readings: Readings::new(),
            metrics,
        }
    }

    /// The object as it was at `since` or later.
    pub(crate) async fn get(
        &self,
        key: &ObjectKey,
        since: Instant,
    ) -> Result<Option<Object>, Unavailable> {
        self.readings.get(key, since, self.read(key)).await
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<Object>, Unavailable> {
        if !ark_api::names::subdomain_errors(&key.name).is_empty() {
            return Ok(None); // no object can have such a name
        }
        let kind = key.kind.as_str();
        self.metrics.reads.get_or_create(&KindLabel { kind }).inc();
        let request =
            Request::new(url_path(key.kind, &key.namespace)).get(&key.name, &GetParams::default());
        let Ok(request) = request else {
            return Ok(None); // nor can it be asked for
        };
        let answer = send(&self.client, request).await;
        let answer = answer.map_err(|error| Unavailable(format!("{key}: {error}")))?;
        Ok(match answer {
            Answer::Object(object) => Some(decode(key.kind, object).unwrap_or_else(misfit)),
            // A server without the kind answers the same: to planning, the object is not there.
            Answer::Refused { code: 404, .. } => None,
            Answer::Refused { code: 403, .. } => Some(Object::Unusable(format!(
                "the dispatcher may not read it; grant its service account the right to get {}",
                plural(key.kind)
            ))),
            Answer::Refused { code, message, .. } => {
                Some(Object::Unusable(format!("{code} {message}")))
            }
        })
    }
}

fn misfit(error: serde_json::Error) -> Object {
    Object::Unusable(format!("it does not fit its kind ({error})"))
}

fn decode(kind: Kind, mut object: Value) -> Result<Object, serde_json::Error> {
    fn typed<T: DeserializeOwned>(
        kind: &str,
        mut object: Value,
    ) -> Result<Arc<T>, serde_json::Error> {
        // Plain CRDs default nothing in code.
        admission::default(kind, &mut object, &admission::Found::new());
        Ok(Arc::new(serde_json::from_value(object)?))
    }
    Ok(match kind {
        Kind::Agent => Object::Agent(typed("Agent", object)?),
        Kind::Model => Object::Model(typed("Model", object)?),
        Kind::Tool => Object::Tool(typed("Tool", object)?),
        Kind::Team => Object::Team(typed("Team", object)?),
        Kind::ArkConfig => Object::ArkConfig(typed("ArkConfig", object)?),
        Kind::ConfigMap => {
            let data: Option<BTreeMap<String, String>> =
                serde_json::from_value(object["data"].take())?;
            Object::ConfigMap(Arc::new(data.unwrap_or_default()))
        }
        Kind::Secret => {
            let data = object["data"].as_object();
            Object::Secret(Arc::new(
                data.into_iter()
                    .flat_map(|data| data.keys().cloned())
                    .collect(),
            ))
        }
        Kind::Service => {
            let service: Service = serde_json::from_value(object)?;
            let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
            let ports = ports
                .into_iter()
                .map(|port| (port.name.unwrap_or_default(), port.port as u16));
            Object::Service(Arc::new(ports.collect()))
        }
    })
}

pub(crate) fn url_path(kind: Kind, namespace: &str) -> String {
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
    match kind {
        Kind::Agent => ark_api::Agent::url_path(&(), namespace),
        Kind::Model => ark_api::Model::url_path(&(), namespace),
        Kind::Tool => ark_api::Tool::url_path(&(), namespace),
        Kind::Team => ark_api::Team::url_path(&(), namespace),
        Kind::ArkConfig => ark_api::ArkConfig::url_path(&(), None),
        Kind::ConfigMap => ConfigMap::url_path(&(), namespace),
        Kind::Secret => Secret::url_path(&(), namespace),
        Kind::Service => Service::url_path(&(), namespace),
    }
}

pub(crate) fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Agent => "agents",
        Kind::Model => "models",
        Kind::Tool => "tools",
        Kind::Team => "teams",
        Kind::ArkConfig => "arkconfigs",
        Kind::ConfigMap => "configmaps",
        Kind::Secret => "secrets",
        Kind::Service => "services",
    }
}
