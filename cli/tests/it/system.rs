//! A system of real processes around one Postgres and one fake provider.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ark_api::Query;
use ark_loadtest::provider;
use ark_postgres::{Choice, Options, Server};
use futures::TryStreamExt;
use kube::api::{Api, DynamicObject, PostParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub const PATIENCE: Duration = Duration::from_secs(120);

/// The `ark` executable with a clean environment.
pub fn ark() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ark"));
    command.kill_on_drop(true).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ARK_")) {
        command.env_remove(name);
    }
    command
}

/// A running process of ours.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process and waits for its line that begins with `ready`.
    pub async fn start(name: &str, folder: &Path, command: &mut Command) -> Process {
        let log = folder.join(format!("{name}.log"));
        let errors = std::fs::File::create(&log).unwrap();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.starts_with("ready") {
                    return;
                }
            }
            panic!("{name} ended before it was ready:\n{}", tail(&log))
        });
        if waited.await.is_err() {
            panic!("{name} was not ready in time:\n{}", tail(&log));
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Process { child, log }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it runs")).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    pub async fn wait(&mut self) -> std::process::ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends")
            .unwrap()
    }

    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), tail(&self.log));
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Terminal states as a watch has seen them: per uid, the resource versions of changes in a terminal phase.
pub type Seen = Arc<Mutex<HashMap<String, Vec<(String, Value)>>>>;

/// Everything, in processes of its own but for the provider.
pub struct System {
    pub provider: provider::Running,
    pub client: Client,
    pub url: String,
    pub workers: Vec<Process>,
    pub dispatcher: Process,
    pub seen: Seen,
    pub folder: tempfile::TempDir,
    pub kubeconfig: PathBuf,
    started: usize,
    environment: Vec<(&'static str, String)>,
    pub apiserver: Option<Process>,
    pub postgres: Option<Server>,
}

impl System {
    /// Our own API server, dispatcher and workers, with a Model, a Tool and an Agent.
    pub async fn start(latency: Duration, workers: usize) -> System {
        System::start_with(latency, workers, Vec::new()).await
    }

    /// The same, with more variables in the environment of each process.
    pub async fn start_with(
        latency: Duration,
        workers: usize,
        environment: Vec<(&'static str, String)>,
    ) -> System {
        let folder = folder();
        let (postgres, url) = database(folder.path()).await;
        let data_dir = folder.path().join("api");
        let apiserver = Process::start(
            "apiserver",
            folder.path(),
            ark()
                .args([
                    "apiserver",
                    "--port",
                    "0",
                    "--model-url-policy",
                    "local",
                    "--database-url",
                    &url,
                ])
                .arg("--data-dir")
                .arg(&data_dir)
                .envs(environment.clone()),
        )
        .await;
        let kubeconfig = data_dir.join("kubeconfig");
        let mut system = System::on(
            folder,
            Some(postgres),
            url,
            kubeconfig,
            Some(apiserver),
            latency,
            environment,
        )
        .await;
        system.create(secret()).await;
        system.create(model(Some("openai"))).await;
        system.create_agent().await;
        for _ in 0..workers {
            system.start_worker().await;
        }
        system
    }

    /// Dispatcher and provider beside an API server that is already there.
    pub async fn on(
        folder: tempfile::TempDir,
        postgres: Option<Server>,
        url: String,
        kubeconfig: PathBuf,
        apiserver: Option<Process>,
        latency: Duration,
        environment: Vec<(&'static str, String)>,
    ) -> System {
        let log = Some(folder.path().join("provider.jsonl"));
        let provider = provider::start(provider::Config {
            latency,
            log,
            ..Default::default()
        })
        .await
        .unwrap();
        let dispatcher = Process::start(
            "dispatcher",
            folder.path(),
            ark()
                .args([
                    "dispatcher",
                    "--leader-elect=false",
                    "--authorization",
                    "off",
                ])
                .args(["--model-url-policy", "local", "--database-url", &url])
                .arg("--kubeconfig")
                .arg(&kubeconfig)
                .envs(environment.clone()),
        )
        .await;
        let client = client(&kubeconfig).await;
        let seen = Seen::default();
        tokio::spawn(watch_terminal(client.clone(), seen.clone()));
        System {
            provider,
            client,
            url,
            workers: Vec::new(),
            dispatcher,
            seen,
            folder,
            kubeconfig,
            started: 0,
            environment,
            apiserver,
            postgres,
        }
    }

    pub async fn start_worker(&mut self) {
        self.started += 1;
        let worker = Process::start(
            &format!("worker-{}", self.started),
            self.folder.path(),
            ark()
                .args([
                    "worker",
                    "--provider",
                    "mock",
                    "--mock-url",
                    &self.provider.url(),
                ])
                .args(["--database-url", &self.url])
                .arg("--kubeconfig")
                .arg(&self.kubeconfig)
                .envs(self.environment.clone()),
        )
        .await;
        self.workers.push(worker);
    }

    pub async fn create_agent(&self) {
        self.create(tool()).await;
        self.create(json!({
            "apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Agent",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"prompt": "be brief", "modelRef": {"name": "default"},
                     "tools": [{"type": "builtin", "name": "noop"}]},
        }))
        .await;
    }

    pub async fn create(&self, object: Value) -> DynamicObject {
        self.try_create(object).await.unwrap()
    }

    pub async fn try_create(&self, object: Value) -> kube::Result<DynamicObject> {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        api(&self.client, &object)
            .create(&PostParams::default(), &object)
            .await
    }

    /// Creates a Query to the agent; returns its uid.
    pub async fn ask(&self, name: &str, input: &str) -> String {
        self.create(query(name, input)).await.uid().unwrap()
    }

    /// Creates many Queries at once; returns input by uid.
    pub async fn ask_many(
        &self,
        count: usize,
        prefix: &str,
        words: &str,
    ) -> HashMap<String, String> {
        let asks = (0..count).map(|n| async move {
            let input = format!("{prefix} question {n} {words}");
            (self.ask(&format!("{prefix}-{n:04}"), &input).await, input)
        });
        use futures::StreamExt;
        futures::stream::iter(asks)
            .buffer_unordered(32)
            .collect()
            .await
    }

    pub fn queries(&self) -> Api<Query> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Waits until so many of the uids have ended.
    pub async fn ended(&self, uids: &[String], count: usize) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while uids
                .iter()
                .filter(|uid| self.seen.lock().unwrap().contains_key(*uid))
                .count()
                < count
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if waited.await.is_err() {
            let ended = uids
                .iter()
                .filter(|uid| self.seen.lock().unwrap().contains_key(*uid))
                .count();
            panic!(
                "{ended} of {} queries ended in time, {count} were awaited",
                uids.len()
            );
        }
    }

    /// The status that a watch saw, of a Query with exactly one terminal change.
    pub fn status(&self, uid: &str) -> Value {
        let seen = self.seen.lock().unwrap();
        let changes = seen
            .get(uid)
            .unwrap_or_else(|| panic!("{uid} has not ended"));
        assert_eq!(
            changes.len(),
            1,
            "{uid} had more than one terminal change: {changes:?}"
        );
        changes[0].1.clone()
    }

    /// Each answer is the fake provider's for its input, and each Query had one terminal change.
    pub fn assert_answered(&self, inputs: &HashMap<String, String>) {
        for (uid, input) in inputs {
            let status = self.status(uid);
            assert_eq!(status["phase"], "done", "{input}: {status}");
            let messages = json!([{"role": "user", "content": input}]);
            let expected = provider::answer(0, "gpt-test", &messages);
            assert_eq!(status["response"]["content"], expected.as_str(), "{input}");
        }
    }

    /// How many calls the provider is busy with.
    pub async fn in_flight(&self) -> usize {
        let url = format!("http://{}/admin/requests", self.provider.addr);
        let body = reqwest::get(url).await.unwrap().text().await.unwrap();
        let counts: Value = serde_json::from_str(&body).unwrap();
        usize::try_from(counts["in_flight"].as_u64().unwrap()).unwrap()
    }

    pub async fn until_in_flight(&self, at_least: usize) -> usize {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let in_flight = self.in_flight().await;
                if in_flight >= at_least {
                    return in_flight;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the provider is asked")
    }

    /// Calls beyond the first for each (execution, path).
    pub fn repeated_calls(&self) -> usize {
        let lines = provider::read_log(&self.folder.path().join("provider.jsonl")).unwrap();
        let mut calls: HashMap<(String, String), usize> = HashMap::new();
        for line in &lines {
            let key = (
                line.execution.clone().unwrap_or_default(),
                line.path.clone().unwrap_or_default(),
            );
            *calls.entry(key).or_default() += 1;
        }
        calls.values().map(|count| count - 1).sum()
    }
}

/// A folder that a Postgres of another user can work in.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("arkit")
        .tempdir_in(ark_postgres::temporary_dir())
        .unwrap()
}

/// A Postgres of the test's own, migrated by `ark migrate`.
pub async fn database(folder: &Path) -> (Server, String) {
    let settings = vec![("fsync".to_owned(), "off".to_owned())];
    let options = Options {
        data_dir: folder.to_owned(),
        cache_dir: None,
        choice: Choice::Auto,
        settings,
    };
    let server = Server::start(options).await.unwrap();
    let url = server.url().to_owned();
    let status = ark()
        .args(["migrate", "--database-url", &url])
        .stdout(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(status.success());
    (server, url)
}

pub async fn client(kubeconfig: &Path) -> Client {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let file = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &Default::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

fn api(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap();
    let gvk = GroupVersionKind::try_from(&types).unwrap();
    let resource = ApiResource::from_gvk(&gvk);
    match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openai", "namespace": "default"},
           "stringData": {"token": "not-a-key"}})
}

pub fn model(secret: Option<&str>) -> Value {
    let key = match secret {
        Some(name) => json!({"valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}}),
        None => json!({"value": "none"}),
    };
    json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Model",
           "metadata": {"name": "default", "namespace": "default"},
           "spec": {"provider": "openai", "type": "completions", "model": {"value": "gpt-test"},
                    "config": {"openai": {"baseUrl": {"value": "https://models.example.com/v1"}, "apiKey": key}}}})
}

fn tool() -> Value {
    json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Tool",
           "metadata": {"name": "noop", "namespace": "default"},
           "spec": {"type": "builtin", "builtin": {"name": "noop"}, "description": "returns its arguments",
                    "inputSchema": {"type": "object", "properties": {"message": {"type": "string"}}}}})
}

pub fn query(name: &str, input: &str) -> Value {
    json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query",
           "metadata": {"name": name, "namespace": "default"},
           "spec": {"input": input, "target": {"type": "agent", "name": "a"}}})
}

/// Follows one watch over the whole test and notes every change to or in a terminal phase.
async fn watch_terminal(client: Client, seen: Seen) {
    let api: Api<Query> = Api::all(client);
    let mut version = "0".to_owned();
    loop {
        let params = WatchParams::default().timeout(290);
        let Ok(stream) = api.watch(&params, &version).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut stream = std::pin::pin!(stream);
        while let Ok(Some(event)) = stream.try_next().await {
            match event {
                WatchEvent::Added(query) | WatchEvent::Modified(query) => {
                    version = query.resource_version().unwrap();
                    note(&seen, &query);
                }
                WatchEvent::Deleted(query) => version = query.resource_version().unwrap(),
                WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                WatchEvent::Error(error) => panic!("the watch failed: {error:?}"),
            }
        }
    }
}

fn note(seen: &Seen, query: &Query) {
    let status = serde_json::to_value(&query.status).unwrap();
    if ["done", "error", "canceled"]
        .iter()
        .any(|phase| status["phase"] == *phase)
    {
        let mut seen = seen.lock().unwrap();
        let changes = seen.entry(query.uid().unwrap()).or_default();
        let version = query.resource_version().unwrap();
        if changes.last().is_none_or(|last| last.0 != version) {
            changes.push((version, status));
        }
    }
}
