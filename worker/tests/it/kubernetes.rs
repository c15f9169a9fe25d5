//! As much of a Kubernetes API server as a worker talks to: Queries with optimistic locking, and Secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

/// A running server; it ends with its test's runtime.
#[derive(Clone)]
pub(crate) struct Kubernetes {
    objects: Arc<Mutex<Objects>>,
    changed: watch::Sender<u64>,
    pub(crate) url: String,
}

#[derive(Default)]
struct Objects {
    version: u64,
    queries: HashMap<String, Value>,
    secrets: HashMap<String, Value>,
    /// Refuses statuses larger than this, as a server does whose storage is limited.
    largest: Option<usize>,
    /// Refuses the phase `queued`, as a server does whose schema lacks it.
    without_queued: bool,
    /// Every phase that a Query was given, in order.
    phases: HashMap<String, Vec<String>>,
}

impl Kubernetes {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (changed, _) = watch::channel(0);
        let kubernetes = Self {
            objects: Arc::default(),
            changed,
            url,
        };
        let router = Router::new()
            .route(
                "/apis/ark.mckinsey.com/v1alpha1/namespaces/{namespace}/queries/{name}",
                get(read_query),
            )
            .route(
                "/apis/ark.mckinsey.com/v1alpha1/namespaces/{namespace}/queries/{name}/status",
                patch(patch_status),
            )
            .route(
                "/api/v1/namespaces/{namespace}/secrets/{name}",
                get(read_secret),
            )
            .with_state(kubernetes.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        kubernetes
    }

    pub(crate) fn client(&self) -> kube::Client {
        kube::Client::try_from(kube::Config::new(self.url.parse().unwrap())).unwrap()
    }

    /// Makes a Query; again under the same name, it is another one.
    pub(crate) fn create_query(&self, name: &str, uid: Uuid) {
        let mut objects = self.objects.lock().unwrap();
        objects.version += 1;
        let version = objects.version.to_string();
        let query = json!({
            "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query",
            "metadata": {"name": name, "namespace": "default", "uid": uid.to_string(), "resourceVersion": version},
        });
        objects.queries.insert(name.to_owned(), query);
        objects.phases.remove(name);
    }

    pub(crate) fn create_secret(&self, name: &str, key: &str, base64: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: base64}});
        self.objects
            .lock()
            .unwrap()
            .secrets
            .insert(name.to_owned(), secret);
    }

    /// An edit by somebody else.
    pub(crate) fn touch(&self, name: &str) {
        let mut objects = self.objects.lock().unwrap();
        objects.version += 1;
        let version = objects.version.to_string();
        objects.queries.get_mut(name).unwrap()["metadata"]["resourceVersion"] = version.into();
    }

    pub(crate) fn limit_status(&self, bytes: usize) {
        self.objects.lock().unwrap().largest = Some(bytes);
    }

    pub(crate) fn lack_queued(&self) {
        self.objects.lock().unwrap().without_queued = true;
    }

    /// Waits until the Query has this phase.
    pub(crate) async fn reached(&self, name: &str, phase: &str) {
        let mut changes = self.changed.subscribe();
        while self.status(name)["phase"] != phase {
            changes.changed().await.unwrap();
        }
    }

    /// Waits until the Query has ended.
    pub(crate) async fn ended(&self, name: &str) -> Value {
        let mut changes = self.changed.subscribe();
        loop {
            let status = self.status(name);
            if matches!(
                status["phase"].as_str(),
                Some("done" | "error" | "canceled")
            ) {
                return status;
            }
            changes.changed().await.unwrap();
        }
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        self.objects.lock().unwrap().queries[name]["status"].clone()
    }

    pub(crate) fn phases(&self, name: &str) -> Vec<String> {
        self.objects
            .lock()
            .unwrap()
            .phases
            .get(name)
            .cloned()
            .unwrap_or_default()
    }
}

type Named = Path<(String, String)>;

async fn read_query(State(kubernetes): State<Kubernetes>, Path((_, name)): Named) -> Response {
    let objects = kubernetes.objects.lock().unwrap();
    objects.queries.get(&name).map_or_else(
        || missing(&name),
        |query| Json(query.clone()).into_response(),
    )
}

async fn read_secret(State(kubernetes): State<Kubernetes>, Path((_, name)): Named) -> Response {
    let objects = kubernetes.objects.lock().unwrap();
    objects.secrets.get(&name).map_or_else(
        || missing(&name),
        |secret| Json(secret.clone()).into_response(),
    )
}

async fn patch_status(
    State(kubernetes): State<Kubernetes>,
    Path((_, name)): Named,
    Json(patch): Json<Value>,
) -> Response {
    let mut objects = kubernetes.objects.lock().unwrap();
    let version = (objects.version + 1).to_string();
    let size = patch["status"].to_string().len();
    if objects.largest.is_some_and(|largest| size > largest) {
        return refuse(413, "RequestEntityTooLarge");
    }
    if objects.without_queued && patch["status"]["phase"] == "queued" {
        return refuse(422, "Invalid");
    }
    let Some(query) = objects.queries.get_mut(&name) else {
        return missing(&name);
    };
    if patch["metadata"]["resourceVersion"] != query["metadata"]["resourceVersion"] {
        return refuse(409, "Conflict");
    }
    query["metadata"]["resourceVersion"] = version.into();
    for (field, value) in patch["status"].as_object().unwrap() {
        query["status"][field] = value.clone();
    }
    let query = query.clone();
    objects.version += 1;
    let phase = patch["status"]["phase"].as_str().unwrap().to_owned();
    objects.phases.entry(name).or_default().push(phase);
    drop(objects);
    kubernetes.changed.send_modify(|changes| *changes += 1);
    Json(query).into_response()
}

fn missing(name: &str) -> Response {
    refuse_with(404, "NotFound", json!({"name": name}))
}

fn refuse(code: u16, reason: &str) -> Response {
    refuse_with(code, reason, json!({}))
}

fn refuse_with(code: u16, reason: &str, details: Value) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "details": details});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
