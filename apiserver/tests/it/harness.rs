//! A server of its own for each test, and a client that speaks HTTPS to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ark_api::admission::{MissingSecrets, ModelUrlPolicy};
use ark_apiserver::{Config, Error, Metrics, PortChoice, Serving};
use ark_store::Store;
use ark_store::testing::TestDatabase;
use prometheus_client::registry::Registry;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const QUERIES: &str = "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/queries";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

pub(crate) struct Api {
    pub(crate) client: Client,
    /// The same over HTTP/1.1.
    pub(crate) http1: Client,
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) database: TestDatabase,
    pub(crate) registry: Registry,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    pub(crate) data_dir: Arc<TempDir>,
}

/// A server on a fresh database.
pub(crate) async fn start() -> Api {
    let database = ark_store::testing::database().await;
    let store = database.store.clone();
    start_on(database, store).await
}

/// A server on that store.
pub(crate) async fn start_on(database: TestDatabase, store: Store) -> Api {
    let data_dir = Arc::new(tempfile::tempdir().unwrap());
    start_at(database, store, data_dir, PortChoice::Exact(0)).await
}

/// A server on that store with the credentials of that folder.
pub(crate) async fn start_at(
    database: TestDatabase,
    store: Store,
    data_dir: Arc<TempDir>,
    port: PortChoice,
) -> Api {
    let mut registry = Registry::default();
    let config = Config {
        bind: "127.0.0.1".parse().unwrap(),
        port,
        data_dir: data_dir.path().to_owned(),
        model_url_policy: ModelUrlPolicy::Local,
        missing_secrets: MissingSecrets::Reject,
        metrics: Metrics::register(&mut registry),
    };
    let shutdown = CancellationToken::new();
    let (ready, serving) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(ark_apiserver::run(config, store, shutdown.clone(), ready));
    let Serving { addr, kubeconfig } = serving.await.expect("the server starts");
    let authority = std::fs::read_to_string(data_dir.path().join("apiserver-ca.pem")).unwrap();
    let authority = &authority[authority.find("-----BEGIN CERTIFICATE").unwrap()..];
    let authority = Certificate::from_pem(authority.as_bytes()).unwrap();
    let client = || {
        Client::builder()
            .tls_certs_only([authority.clone()])
            .timeout(Duration::from_secs(120))
    };
    Api {
        client: client().build().unwrap(),
        http1: client().http1_only().build().unwrap(),
        base: format!("https://{addr}"),
        token: std::fs::read_to_string(data_dir.path().join("token")).unwrap(),
        kubeconfig,
        database,
        registry,
        shutdown,
        task,
        data_dir,
    }
}

impl Api {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    /// Sends it and returns status code and body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, None).await
    }

    pub(crate) async fn patch(&self, path: &str, type_: &str, patch: &str) -> (u16, Value) {
        let request = self
            .request(Method::PATCH, path)
            .header("content-type", type_)
            .body(patch.to_owned());
        answer(request.send().await.unwrap()).await
    }

    /// Creates what must be creatable.
    pub(crate) async fn create(&self, path: &str, body: Value) -> Value {
        let (code, object) = self.post(path, body).await;
        assert_eq!(code, 201, "{object}");
        object
    }

    /// Creates a ConfigMap, the kind that needs nothing else.
    pub(crate) async fn create_config_map(&self, name: &str, labels: Value) -> Value {
        self.create(CONFIG_MAPS, config_map(name, labels)).await
    }

    /// Creates the model that queries of these tests ask.
    pub(crate) async fn create_model(&self) {
        let model = json!({
            "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Model", "metadata": {"name": "m"},
            "spec": {"provider": "openai", "model": {"value": "gpt"}, "config": {"openai": {
                "baseUrl": {"value": "http://127.0.0.1:1/v1"}, "apiKey": {"value": "none"},
            }}},
        });
        let path = "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/models";
        self.create(path, model).await;
    }

    /// Ends the server as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) fn config_map(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"n": "0"}})
}

/// A query to the model of [`Api::create_model`].
pub(crate) fn query(name: &str) -> Value {
    json!({
        "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query", "metadata": {"name": name},
        "spec": {"input": "hello", "target": {"type": "model", "name": "m"}},
    })
}

pub(crate) async fn answer(response: Response) -> (u16, Value) {
    let code = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        code,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub(crate) fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}
