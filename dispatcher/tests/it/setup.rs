//! A reference server, a database and a dispatcher between them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ark_api::{Agent, Model, Query};
use ark_dispatcher::{Authorization, Config, Error, Metrics};
use ark_plan::Phase;
use ark_store::Store;
use ark_store::testing::{TestDatabase, database};
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, ResourceExt};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/oracle");
const PATIENCE: Duration = Duration::from_secs(60);
pub const NAMESPACE: &str = "default";

pub struct Setup {
    pub client: Client,
    pub store: Store,
    pub registry: Registry,
    metrics: Metrics,
    dispatcher: Option<(CancellationToken, JoinHandle<Result<(), Error>>)>,
    _database: TestDatabase,
    _server: Child,
    _folder: tempfile::TempDir,
}

/// Everything running, with the Agent `writer`; `None`, and a word about it, where the server cannot be had.
pub async fn start(test: &str) -> Option<Setup> {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, client)) = reference_server(folder.path()).await else {
        println!("SKIPPED: {test}: it needs Go and the reference server");
        return None;
    };
    let database = database().await;
    let mut registry = Registry::default();
    let mut setup = Setup {
        client,
        store: database.store.clone(),
        metrics: Metrics::register(&mut registry),
        registry,
        dispatcher: None,
        _database: database,
        _server: server,
        _folder: folder,
    };
    setup.create_model().await;
    setup.create_agent("writer", json!({})).await;
    setup.dispatch();
    Some(setup)
}

impl Setup {
    pub fn dispatch(&mut self) {
        self.dispatch_with(Authorization::Off);
    }

    pub fn dispatch_with(&mut self, authorization: Authorization) {
        let config = Config {
            leader_elect: false,
            identity: "test".to_owned(),
            namespace: "ark-system".to_owned(),
            authorization,
            model_url_policy: "local".parse().unwrap(),
            lenient_secrets: false,
            resync: Duration::from_secs(2),
            metrics: self.metrics.clone(),
        };
        let shutdown = CancellationToken::new();
        let run = ark_dispatcher::run(
            config,
            self.client.clone(),
            self.store.clone(),
            shutdown.clone(),
        );
        self.dispatcher = Some((shutdown, tokio::spawn(run)));
    }

    pub async fn stop_dispatching(&mut self) {
        let (shutdown, dispatcher) = self.dispatcher.take().unwrap();
        shutdown.cancel();
        dispatcher.await.unwrap().unwrap();
    }

    async fn create_model(&self) {
        let models: Api<Model> = Api::namespaced(self.client.clone(), NAMESPACE);
        let model = json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Model", "metadata": {"name": "default"},
            "spec": {"provider": "openai", "model": {"value": "gpt"}, "config": {"openai": {
                "baseUrl": {"value": "http://127.0.0.1:9/v1"}, "apiKey": {"value": "none"}}}}});
        let model = serde_json::from_value(model).unwrap();
        models.create(&PostParams::default(), &model).await.unwrap();
    }

    pub async fn create_agent(&self, name: &str, labels: Value) {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), NAMESPACE);
        let agent = json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Agent",
            "metadata": {"name": name, "labels": labels}, "spec": {"prompt": "You write."}});
        let agent = serde_json::from_value(agent).unwrap();
        agents.create(&PostParams::default(), &agent).await.unwrap();
    }

    pub fn queries(&self) -> Api<Query> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Creates a Query to an Agent and says its uid.
    pub async fn ask(&self, name: &str, agent: &str, more: Value) -> Uuid {
        let mut query = json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query", "metadata": {"name": name},
            "spec": {"input": "hi", "target": {"type": "agent", "name": agent}}});
        for (field, value) in more.as_object().unwrap() {
            query["spec"][field] = value.clone();
        }
        let query = serde_json::from_value(query).unwrap();
        let created = self
            .queries()
            .create(&PostParams::default(), &query)
            .await
            .unwrap();
        created.uid().unwrap().parse().unwrap()
    }

    /// What the queue has for a uid: nothing, or how it ended.
    pub async fn execution(&self, uid: Uuid) -> Option<Option<Phase>> {
        let live = self.store.live(0, 10_000).await.unwrap();
        live.into_iter()
            .find(|execution| execution.uid == uid)
            .map(|execution| execution.ended)
    }

    pub async fn until(&self, uid: Uuid, wanted: Option<Option<Phase>>) {
        let reached = tokio::time::timeout(PATIENCE, async {
            while self.execution(uid).await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(
            reached.await.is_ok(),
            "{uid} is {:?}, not {wanted:?}",
            self.execution(uid).await
        );
    }

    pub fn metric(&self, line_start: &str) -> f64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with(line_start));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0.0)
    }
}

async fn reference_server(folder: &Path) -> Option<(Child, Client)> {
    if !Path::new(ORACLE).exists() {
        return None;
    }
    let binary = std::env::temp_dir().join("ark-reference-server");
    let build = Command::new("go")
        .args(["build", "-C", ORACLE, "-o"])
        .arg(&binary)
        .arg(".")
        .status()
        .await
        .ok()?;
    assert!(build.success(), "the reference server is built");
    let port = free_ports();
    let log = std::fs::File::create(folder.join("reference.log")).unwrap();
    let server = Command::new(&binary)
        .current_dir(ORACLE)
        .arg("--dir")
        .arg(folder)
        .args(["--port", &port.to_string()])
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let ready = tokio::time::timeout(Duration::from_secs(120), async {
        loop {
            if let Ok(client) = connect(&folder.join("kubeconfig-reference")).await {
                let queries: Api<Query> = Api::all(client.clone());
                if queries.list(&Default::default()).await.is_ok() {
                    return client;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    Some((
        server,
        ready.await.unwrap_or_else(|_| {
            panic!(
                "{}",
                std::fs::read_to_string(folder.join("reference.log")).unwrap()
            )
        }),
    ))
}

/// The server takes four ports in a row.
fn free_ports() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let first = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        if first < 65_000 && (first..first + 4).all(is_free) {
            return first;
        }
    }
}

async fn connect(kubeconfig: &Path) -> Result<Client, Box<dyn std::error::Error>> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
