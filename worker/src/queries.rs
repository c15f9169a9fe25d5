//! Queries in Kubernetes, as far as the reporter needs them.

use ark_store::Report;
use http::HeaderValue;
use kube::Client;
use kube::api::{GetParams, Patch, PatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{api, trace};

/// Reads Queries and patches their status; cheap to clone.
#[derive(Clone)]
pub(crate) struct Queries {
    client: Client,
}

/// A Query as it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) status: Value,
}

/// Why the API server did not do it.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The version is no longer the newest.
    Conflict,
    /// There is no such Query.
    NotFound,
    /// The status is too large (413) or not what the schema allows (422).
    Unfit(String),
    /// Anything else; another try may succeed.
    Other(String),
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
}

impl Queries {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The Query with this name, whatever its uid.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Result<Query, Refusal> {
        let request = requests(namespace)
            .get(name, &GetParams::default())
            .map_err(|error| Refusal::Other(error.to_string()))?;
        let object = self.send(name, request).await?;
        Ok(Query {
            uid: object.metadata.uid,
            resource_version: object.metadata.resource_version,
            status: object.status,
        })
    }

    /// Merges `status` into the report's Query if it still has this version; its version afterwards.
    pub(crate) async fn patch_status(
        &self,
        report: &Report,
        resource_version: &str,
        status: &Value,
    ) -> Result<Option<String>, Refusal> {
        let patch = Patch::Merge(
            json!({"metadata": {"resourceVersion": resource_version}, "status": status}),
        );
        let mut request = requests(&report.namespace)
            .patch_subresource("status", &report.name, &PatchParams::default(), &patch)
            .map_err(|error| Refusal::Other(error.to_string()))?;
        if let Some(trace) = trace::outgoing(report.trace.as_deref())
            && let Ok(trace) = HeaderValue::try_from(&*trace)
        {
            request.headers_mut().insert("traceparent", trace);
        }
        let object = self.send(&report.name, request).await?;
        Ok(Some(object.metadata.resource_version).filter(|version| !version.is_empty()))
    }

    async fn send(&self, name: &str, request: http::Request<Vec<u8>>) -> Result<Object, Refusal> {
        let object = api::send(&self.client, request).await;
        object.map_err(|refused| refusal(name, refused))
    }
}

fn requests(namespace: &str) -> Request {
    Request::new(format!(
        "/apis/ark.mckinsey.com/v1alpha1/namespaces/{namespace}/queries"
    ))
}

fn refusal(name: &str, refusal: api::Refusal) -> Refusal {
    match refusal {
        api::Refusal::Refused { missing, .. } if missing.as_deref() == Some(name) => {
            Refusal::NotFound
        }
        api::Refusal::Refused { code, message, .. } => match code {
            409 => Refusal::Conflict,
            413 | 422 => Refusal::Unfit(message),
            code => Refusal::Other(format!("HTTP {code}: {message}")),
        },
        api::Refusal::Unavailable(why) => Refusal::Other(why),
    }
}
