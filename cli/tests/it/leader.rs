//! Two dispatchers of which one leads: it is killed, stopped, told to end, or loses its API server.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ark_api::Query;
use ark_loadtest::provider;
use ark_postgres::Server;
use ark_store::Store;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::system::{PATIENCE, Process, ark, client, database, folder, model, query};

/// Longer than a leader goes on without renewing its Lease, in seconds.
const LEASE: u64 = 15;

/// A dispatcher with the address of its metrics.
struct Dispatcher {
    process: Process,
    metrics: String,
}

impl Dispatcher {
    async fn metric(&self, line_start: &str) -> f64 {
        let url = format!("http://{}/metrics", self.metrics);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(line_start));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("{line_start} is not exported"))
    }

    async fn leads(&self) -> bool {
        self.metric("ark_dispatcher_leading ").await == 1.0
    }
}

/// Everything but dispatchers.
struct Cluster {
    folder: tempfile::TempDir,
    url: String,
    store: Store,
    port: u16,
    apiserver: Process,
    client: Client,
    _provider: provider::Running,
    _worker: Process,
    _postgres: Server,
    started: usize,
}

impl Cluster {
    async fn start() -> Cluster {
        let folder = folder();
        let (postgres, url) = database(folder.path()).await;
        let port = free_port();
        let apiserver = apiserver(&folder, &url, port).await;
        let client = client(&folder.path().join("api/kubeconfig")).await;
        let log = Some(folder.path().join("provider.jsonl"));
        let config = provider::Config {
            latency: Duration::from_millis(50),
            log,
            ..Default::default()
        };
        let provider = provider::start(config).await.unwrap();
        let mut worker = ark();
        worker.args([
            "worker",
            "--provider",
            "mock",
            "--mock-url",
            &provider.url(),
        ]);
        worker.args(["--database-url", &url, "--kubeconfig"]);
        worker.arg(folder.path().join("api/kubeconfig"));
        let worker = Process::start("worker", folder.path(), &mut worker).await;
        let store = Store::connect(&url, Default::default()).await.unwrap();
        let cluster = Cluster {
            folder,
            url,
            store,
            port,
            apiserver,
            client,
            _provider: provider,
            _worker: worker,
            _postgres: postgres,
            started: 0,
        };
        cluster.create(model(None)).await;
        cluster
            .create(
                json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Agent",
                "metadata": {"name": "a", "namespace": "default", "labels": {"tells": "time"}}, "spec": {"prompt": "be brief"}}),
            )
            .await;
        cluster
    }

    async fn create(&self, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let gvk = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
        let api: Api<DynamicObject> =
            Api::default_namespaced_with(self.client.clone(), &ApiResource::from_gvk(&gvk));
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    async fn dispatcher(&mut self) -> Dispatcher {
        self.started += 1;
        let metrics = format!("127.0.0.1:{}", free_port());
        let mut command = ark();
        command.args([
            "dispatcher",
            "--model-url-policy",
            "local",
            "--metrics-addr",
            &metrics,
        ]);
        command.args(["--database-url", &self.url, "--kubeconfig"]);
        command.arg(self.folder.path().join("api/kubeconfig"));
        let name = format!("dispatcher-{}", self.started);
        let process = Process::start(&name, self.folder.path(), &mut command).await;
        Dispatcher { process, metrics }
    }

    async fn ask(&self, name: &str) -> String {
        let queries: Api<Query> = Api::default_namespaced(self.client.clone());
        // A target by its labels and an account of its own, so that the dispatcher has the most to ask.
        let mut query = query(name, "what is the time?");
        query["spec"]["target"] = Value::Null;
        query["spec"]["selector"] = json!({"matchLabels": {"tells": "time"}});
        query["spec"]["serviceAccount"] = json!("default");
        let query = serde_json::from_value(query).unwrap();
        let created = queries
            .create(&PostParams::default(), &query)
            .await
            .unwrap();
        created.uid().unwrap()
    }

    async fn ask_many(&self, prefix: &str, count: usize, apart: Duration) -> BTreeSet<String> {
        let mut uids = BTreeSet::new();
        for n in 0..count {
            uids.insert(self.ask(&format!("{prefix}-{n}")).await);
            tokio::time::sleep(apart).await;
        }
        uids
    }

    /// Waits until all have ended as done, and checks that each was executed once: one execution, one model call.
    async fn done_once(&self, uids: &BTreeSet<String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let queries: Api<Query> = Api::default_namespaced(self.client.clone());
            let all = queries.list(&Default::default()).await.unwrap();
            let phase =
                |query: &Query| serde_json::to_value(&query.status).unwrap()["phase"].clone();
            let open: Vec<String> = all
                .iter()
                .filter(|query| uids.contains(&query.uid().unwrap()) && phase(query) != "done")
                .map(|query| format!("{} {}", query.name_any(), phase(query)))
                .collect();
            if open.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "not done: {open:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let executions = self.store.live(0, 10_000).await.unwrap();
        let ours = executions.iter().map(|execution| execution.uid.to_string());
        let mut ours: Vec<String> = ours.filter(|uid| uids.contains(uid)).collect();
        ours.sort_unstable();
        assert_eq!(ours, uids.iter().cloned().collect::<Vec<_>>());
        let calls = provider::read_log(&self.folder.path().join("provider.jsonl")).unwrap();
        let calls = calls.iter().filter_map(|call| call.execution.as_deref());
        let calls =
            calls.filter(|execution| uids.iter().any(|uid| execution.starts_with(uid.as_str())));
        assert_eq!(calls.count(), uids.len(), "one model call for each");
    }

    async fn holder(&self) -> String {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "ark-system");
        let lease = leases.get("ark-controller-leader").await.unwrap();
        lease.spec.unwrap().holder_identity.unwrap_or_default()
    }

    async fn start_apiserver(&mut self) {
        self.apiserver = apiserver(&self.folder, &self.url, self.port).await;
    }
}

async fn apiserver(folder: &tempfile::TempDir, url: &str, port: u16) -> Process {
    let data_dir: PathBuf = folder.path().join("api");
    let mut command = ark();
    command.args([
        "apiserver",
        "--model-url-policy",
        "local",
        "--database-url",
        url,
    ]);
    command
        .args(["--port", &port.to_string(), "--data-dir"])
        .arg(data_dir);
    Process::start("apiserver", folder.path(), &mut command).await
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits until exactly one of them leads, and says which and how long that took.
async fn leader(dispatchers: &[&Dispatcher]) -> (usize, Duration) {
    let began = Instant::now();
    loop {
        let leading = futures::future::join_all(dispatchers.iter().map(|one| one.leads())).await;
        let leading: Vec<usize> = (0..leading.len()).filter(|one| leading[*one]).collect();
        if let [one] = leading[..] {
            return (one, began.elapsed());
        }
        assert!(began.elapsed() < PATIENCE, "{} lead", leading.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often they lost the lease, all together.
async fn lost(dispatchers: &[&Dispatcher]) -> f64 {
    let metric = "ark_dispatcher_elections_total{result=\"lost\"}";
    let lost = dispatchers.iter().map(|one| one.metric(metric));
    futures::future::join_all(lost).await.iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_takes_over_and_no_query_is_lost_or_doubled() {
    let mut cluster = Cluster::start().await;
    let one = cluster.dispatcher().await;
    let other = cluster.dispatcher().await;
    let (first, _) = leader(&[&one, &other]).await;
    let (mut leading, standby) = if first == 0 {
        (one, other)
    } else {
        (other, one)
    };

    // Killed while Queries come: nobody says goodbye, so the Lease has to run out.
    let asked = cluster.ask_many("killed", 200, Duration::from_millis(5));
    let killed = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        leading.process.kill().await;
    };
    let (uids, ()) = tokio::join!(asked, killed);
    let (_, took) = leader(&[&standby]).await;
    assert!(took < Duration::from_secs(LEASE + 5), "{took:?}");
    cluster.done_once(&uids).await;
    assert!(
        standby
            .metric("ark_dispatcher_access_reviews_total{result=\"allowed\"}")
            .await
            >= 1.0
    );

    // Stopped for longer than its Lease: it comes back as one that has lost it.
    let (paused, standby) = (standby, cluster.dispatcher().await);
    let held_by = cluster.holder().await;
    paused.process.signal(Signal::SIGSTOP);
    let uids = cluster.ask_many("paused", 50, Duration::ZERO).await;
    let (_, took) = leader(&[&standby]).await;
    assert!(took < Duration::from_secs(LEASE + 5), "{took:?}");
    assert_ne!(cluster.holder().await, held_by);
    paused.process.signal(Signal::SIGCONT);
    let more = cluster.ask_many("resumed", 50, Duration::ZERO).await;
    cluster
        .done_once(&uids.union(&more).cloned().collect())
        .await;
    let (one, _) = leader(&[&paused, &standby]).await;
    assert_eq!(one, 1, "who lost the lease stands by");
    assert_eq!(
        paused
            .metric("ark_dispatcher_elections_total{result=\"lost\"}")
            .await,
        1.0
    );

    // Told to end, it gives the Lease back: the other need not wait for it to run out.
    let mut ending = standby;
    ending.process.signal(Signal::SIGTERM);
    let (_, took) = leader(&[&paused]).await;
    assert!(took < Duration::from_secs(LEASE / 2), "{took:?}");
    assert!(ending.process.wait().await.success());
    let uids = cluster.ask_many("ended", 20, Duration::ZERO).await;
    cluster.done_once(&uids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dispatchers_outlive_their_api_server() {
    let mut cluster = Cluster::start().await;
    let one = cluster.dispatcher().await;
    let other = cluster.dispatcher().await;
    leader(&[&one, &other]).await;
    let mut uids = cluster.ask_many("before", 50, Duration::ZERO).await;
    cluster.apiserver.kill().await;
    let born_without = cluster.dispatcher().await;
    tokio::time::sleep(Duration::from_secs(LEASE)).await;
    assert!(!one.leads().await && !other.leads().await && !born_without.leads().await);
    cluster.start_apiserver().await;
    let all = [&one, &other, &born_without];
    leader(&all).await;
    uids.extend(cluster.ask_many("after", 50, Duration::ZERO).await);
    cluster.done_once(&uids).await;
    assert_eq!(lost(&all).await, 1.0, "who cannot renew its lease stops");

    // A server that takes connections and says nothing is as good as none.
    cluster.apiserver.signal(Signal::SIGSTOP);
    let began = Instant::now();
    while lost(&all).await < 2.0 {
        assert!(began.elapsed() < PATIENCE, "it leads without a lease");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(LEASE));
    cluster.apiserver.signal(Signal::SIGCONT);
    leader(&all).await;
    uids.extend(cluster.ask_many("awake", 20, Duration::ZERO).await);
    cluster.done_once(&uids).await;
}
