//! What each test stands on: a database, a provider with its log, a Kubernetes API, and workers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ark_loadtest::provider::{self, Line};
use ark_plan::{AgentPlan, Input, Limits, ModelPlan, Plan, Source, Target, ToolCall, ToolPlan};
use ark_store::testing::{TestDatabase, database};
use ark_store::{NewExecution, NewPlan, Store};
use ark_worker::{Config, Metrics, ProviderMode, Timeouts};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kubernetes::Kubernetes;

pub(crate) const SEED: u64 = 7;

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) provider: provider::Running,
    log: PathBuf,
    _folder: tempfile::TempDir,
    pub(crate) url: String,
    pub(crate) database: TestDatabase,
}

/// A worker in this runtime.
pub(crate) struct Worker {
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), ark_worker::Error>>,
}

impl Worker {
    /// Asks for an orderly end and waits for it.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

impl Bench {
    pub(crate) async fn new(latency: Duration) -> Self {
        let database = database().await;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("requests.jsonl");
        let config = provider::Config {
            port: 0,
            seed: SEED,
            latency,
            log: Some(log.clone()),
        };
        Self {
            store: database.store.clone(),
            kubernetes: Kubernetes::start().await,
            provider: provider::start(config).await.unwrap(),
            log,
            _folder: folder,
            url: database.url.clone(),
            database,
        }
    }

    /// A worker's configuration: `Auto`, so that base URLs and Secrets are really used.
    pub(crate) fn config(&self, slots: usize) -> Config {
        let metrics = Metrics::new(&mut Registry::default());
        Config {
            slots,
            drain: Duration::from_secs(10),
            timeouts: Timeouts {
                first_token: Duration::from_secs(30),
                ..Timeouts::default()
            },
            ..Config::new("test", ProviderMode::Auto, metrics)
        }
    }

    pub(crate) fn worker(&self, slots: usize) -> Worker {
        self.worker_with(self.config(slots))
    }

    pub(crate) fn worker_with(&self, config: Config) -> Worker {
        let shutdown = CancellationToken::new();
        let run = ark_worker::run(
            config,
            self.kubernetes.client(),
            self.store.clone(),
            shutdown.clone(),
        );
        Worker {
            shutdown,
            ended: tokio::spawn(run),
        }
    }

    /// Creates the Query and enqueues it.
    pub(crate) async fn ask(
        &self,
        name: &str,
        target: Target,
        text: &str,
        timeout: Duration,
    ) -> Uuid {
        let input = json!({"targetType": "agent", "targetName": "a", "text": text});
        self.ask_with(name, target, input, timeout).await
    }

    /// The same with the whole [`Input`] as JSON.
    pub(crate) async fn ask_with(
        &self,
        name: &str,
        target: Target,
        input: Value,
        timeout: Duration,
    ) -> Uuid {
        let uid = Uuid::new_v4();
        self.kubernetes.create_query(name, uid);
        let body = serde_json::to_string(&Plan { target }).unwrap();
        let input: Input = serde_json::from_value(input).unwrap();
        let execution = NewExecution {
            uid,
            round: 0,
            namespace: "default".into(),
            name: name.into(),
            plan: Some(Arc::new(NewPlan {
                hash: ark_plan::hash(&body),
                format: ark_plan::FORMAT,
                body,
            })),
            input: serde_json::to_string(&input).unwrap(),
            scope: 7,
            class: 57,
            created_at: chrono::Utc::now(),
            timeout,
            ttl: Duration::from_secs(3600),
            resource_version: None,
            trace: Some(ark_api::trace::traceparent(uid)),
            canceled: false,
            outcome: None,
        };
        self.store.enqueue(&[execution]).await.unwrap();
        uid
    }

    pub(crate) fn model(&self) -> ModelPlan {
        ModelPlan {
            namespace: "default".into(),
            name: "m".into(),
            provider: "openai".into(),
            model: Source::Literal("gpt".into()),
            base_url: Source::Literal(self.provider.url()),
            api_key: None,
            api_version: None,
            headers: Vec::new(),
            properties: Vec::new(),
            limits: Limits::default(),
            scope: 7,
        }
    }

    /// The same model at another kind of provider.
    pub(crate) fn model_at(&self, provider: &str) -> ModelPlan {
        let base_url = match provider {
            "openai" => self.provider.url(),
            _ => format!("http://{}", self.provider.addr),
        };
        ModelPlan {
            provider: provider.into(),
            base_url: Source::Literal(base_url),
            api_key: Some(Source::Literal("key".into())),
            ..self.model()
        }
    }

    pub(crate) fn agent(&self, tools: Vec<ToolPlan>) -> Target {
        Target::Agent(self.agent_plan(self.model(), tools))
    }

    pub(crate) fn agent_plan(&self, model: ModelPlan, tools: Vec<ToolPlan>) -> AgentPlan {
        AgentPlan {
            namespace: "default".into(),
            name: "a".into(),
            prompt: "Be brief.".into(),
            parameters: Vec::new(),
            model,
            tools,
            max_turns: 50,
            output_schema: None,
        }
    }

    /// A tool of the fake provider: `GET weather` is safe to repeat, `POST slow` and `POST echo` are not.
    pub(crate) fn tool(&self, method: &str, path: &str) -> ToolPlan {
        ToolPlan {
            namespace: "default".into(),
            name: "tool".into(),
            description: "a tool".into(),
            input_schema: json!({"type": "object", "properties": {"city": {"type": "string"}}}),
            preset: Vec::new(),
            filters: Vec::new(),
            repeatable: method == "GET",
            call: ToolCall::Http {
                url: format!("http://{}/tools/{path}", self.provider.addr),
                method: method.into(),
                headers: Vec::new(),
                timeout_ms: 30_000,
                body: String::new(),
                body_parameters: Vec::new(),
            },
        }
    }

    /// The provider's log so far.
    pub(crate) fn requests(&self) -> Vec<Line> {
        provider::read_log(&self.log).unwrap()
    }

    /// How often each path was asked for, sorted; tool requests count as `tool`.
    pub(crate) fn paths(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for line in self.requests() {
            *counts.entry(line.path.unwrap_or_default()).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// What the provider answers to this input.
    pub(crate) fn expected(&self, text: &str) -> String {
        provider::answer(SEED, "gpt", &json!([{"role": "user", "content": text}]))
    }
}

/// The answer in a status.
pub(crate) fn content(status: &Value) -> &str {
    status["response"]["content"].as_str().unwrap_or_default()
}

/// Waits until `condition` holds; the caller's test has its own limit.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(tokio::time::Instant::now() < limit, "waited for 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
