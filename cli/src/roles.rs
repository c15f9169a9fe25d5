//! The roles as processes of their own, as a cluster runs them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use ark_api::admission::{MissingSecrets, ModelUrlLists, ModelUrlPolicy};
use ark_apiserver::PortChoice;
use ark_dispatcher::Authorization;
use ark_worker::ProviderMode;
use clap::{ArgAction, Args};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::database::DatabaseUrl;
use crate::offline::duration;
use crate::process::{self, MetricsAddr};
use crate::system::{self, Provider, RESYNC};

/// The rule of Ark for the addresses of Models.
#[derive(Debug, Args)]
struct UrlPolicy {
    /// Which base URLs Models may have: strict as Ark's, or local, which also allows http and loopback
    #[arg(
        long,
        env = "ARK_MODEL_URL_POLICY",
        default_value = "strict",
        value_name = "strict|local"
    )]
    model_url_policy: ModelUrlPolicy,
    /// The only hosts that Models may have under the strict policy, one a line; subdomains are included
    #[arg(
        long,
        env = "WHITELISTED_MODEL_DOMAINS",
        default_value = "",
        hide_default_value = true,
        value_name = "HOSTS"
    )]
    model_domains: String,
    /// Private addresses that Models may have under the strict policy, one a line, such as 10.0.0.0/8
    #[arg(
        long,
        env = "ALLOWED_PRIVATE_IP_RANGES",
        default_value = "",
        hide_default_value = true,
        value_name = "RANGES"
    )]
    model_private_ranges: String,
}

impl UrlPolicy {
    fn policy(&self) -> anyhow::Result<ModelUrlPolicy> {
        let lists = ModelUrlLists::parse(&self.model_domains, &self.model_private_ranges)
            .context("--model-private-ranges (ALLOWED_PRIVATE_IP_RANGES)")?;
        Ok(self.model_url_policy.with(lists))
    }
}

/// Serves the Kubernetes API for Ark's resources and, without a cluster, for the core kinds that they need.
#[derive(Debug, Args)]
pub(crate) struct Apiserver {
    #[command(flatten)]
    database: DatabaseUrl,
    /// Where certificate, token, sealing key and kubeconfig are kept [default: ~/.local/share/ark, as root /var/lib/ark]
    #[arg(long, env = "ARK_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, env = "ARK_BIND", default_value = "127.0.0.1", value_name = "IP")]
    bind: IpAddr,
    /// Port to listen on
    #[arg(long, env = "ARK_PORT", default_value_t = 6443)]
    port: u16,
    #[command(flatten)]
    url_policy: UrlPolicy,
    #[command(flatten)]
    metrics: MetricsAddr,
}

impl Apiserver {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let shutdown = process::shutdown_on_signal()?;
        let store = self.database.open("ark-apiserver", 20).await?;
        let mut registry = Registry::default();
        let config = ark_apiserver::Config {
            bind: self.bind,
            port: PortChoice::Exact(self.port),
            data_dir: self.data_dir.unwrap_or_else(ark_postgres::default_data_dir),
            model_url_policy: self.url_policy.policy()?,
            missing_secrets: MissingSecrets::Reject,
            metrics: ark_apiserver::Metrics::register(&mut registry),
        };
        self.metrics.serve(registry, store.clone()).await?;
        let (ready, is_ready) = tokio::sync::oneshot::channel::<ark_apiserver::Serving>();
        let announce = tokio::spawn(async move {
            if let Ok(serving) = is_ready.await {
                println!(
                    "ready https://{} kubeconfig {}",
                    serving.addr,
                    serving.kubeconfig.display()
                );
            }
        });
        let served = ark_apiserver::run(config, store.clone(), shutdown, ready).await;
        announce.await.ok();
        store.close().await;
        served.context("the API server failed")
    }
}

/// A Kubernetes API to work on.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// Kubeconfig of the API server; without it the pod's service account is used
    #[arg(long, env = "ARK_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Cluster {
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        match &self.kubeconfig {
            Some(file) => system::client(file).await,
            None => kube::Client::try_default()
                .await
                .context("there is no --kubeconfig, and this is not a pod with a service account"),
        }
    }

    /// For people: without another word the kubeconfig of `ark up`.
    pub(crate) async fn look(&self) -> anyhow::Result<kube::Client> {
        let local = ark_postgres::default_data_dir().join("kubeconfig");
        if self.kubeconfig.is_none() && std::env::var_os("KUBECONFIG").is_none() && local.exists() {
            return system::client(&local).await;
        }
        self.client().await
    }
}

/// Watches Queries and turns each into one execution in the queue. One replica leads, the others stand by.
#[derive(Debug, Args)]
pub(crate) struct Dispatcher {
    #[command(flatten)]
    database: DatabaseUrl,
    #[command(flatten)]
    cluster: Cluster,
    /// Whether replicas elect a leader by the Lease ark-controller-leader in ark-system
    #[arg(long, env = "ARK_LEADER_ELECT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL",
          num_args = 0..=1, default_missing_value = "true")]
    leader_elect: bool,
    /// Whether a Query's service account must have the right to what the Query uses
    #[arg(long, env = "ARK_AUTHORIZATION", default_value = "rbac", value_name = "rbac|off", value_parser = authorization)]
    authorization: Authorization,
    #[command(flatten)]
    url_policy: UrlPolicy,
    #[command(flatten)]
    metrics: MetricsAddr,
}

impl Dispatcher {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let shutdown = process::shutdown_on_signal()?;
        let store = self.database.open("ark-dispatcher", 10).await?;
        let client = self.cluster.client().await?;
        let mut registry = Registry::default();
        let config = ark_dispatcher::Config {
            leader_elect: self.leader_elect,
            identity: host_name(),
            namespace: "ark-system".to_owned(),
            authorization: self.authorization,
            model_url_policy: self.url_policy.policy()?,
            lenient_secrets: false,
            resync: RESYNC,
            metrics: ark_dispatcher::Metrics::register(&mut registry),
        };
        // What ends without running is reported even when no worker is alive.
        let mut caretaker = ark_worker::Config::new(
            host_name(),
            ProviderMode::Auto,
            ark_worker::Metrics::new(&mut registry),
        );
        caretaker.slots = 0;
        self.metrics.serve(registry, store.clone()).await?;
        println!("ready");
        let stop = CancellationToken::new();
        let dispatch = ark_dispatcher::run(config, client.clone(), store.clone(), stop.clone());
        let care = ark_worker::run(caretaker, client, store.clone(), stop.clone());
        let result = both(shutdown, stop, dispatch, care).await;
        store.close().await;
        result
    }
}

fn authorization(text: &str) -> Result<Authorization, String> {
    match text {
        "rbac" => Ok(Authorization::Rbac),
        "off" => Ok(Authorization::Off),
        _ => Err("must be rbac or off".to_owned()),
    }
}

/// Runs the dispatcher and its caretaker until one of them fails or both were told to stop.
async fn both(
    shutdown: CancellationToken,
    stop: CancellationToken,
    dispatch: impl Future<Output = Result<(), ark_dispatcher::Error>>,
    care: impl Future<Output = Result<(), ark_worker::Error>>,
) -> anyhow::Result<()> {
    let watch_signal = async {
        shutdown.cancelled().await;
        stop.cancel();
    };
    let work = async {
        let dispatched = async {
            let result = dispatch.await;
            stop.cancel();
            result.context("the dispatcher failed")
        };
        let cared = async {
            let result = care.await;
            stop.cancel();
            result.context("the reporter failed")
        };
        let (dispatched, cared) = tokio::join!(dispatched, cared);
        dispatched.and(cared)
    };
    tokio::pin!(work);
    tokio::select! {
        result = &mut work => result,
        () = watch_signal => work.await,
    }
}

/// Claims executions from the queue, calls the models within their limits, and reports the answers.
///
/// Any number of workers share one queue; scale them as you like. SIGTERM stops claiming, gives back what has not
/// started, finishes the rest and ends.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    database: DatabaseUrl,
    #[command(flatten)]
    cluster: Cluster,
    /// Executions at once
    #[arg(long, env = "ARK_SLOTS", default_value_t = 100, value_name = "N")]
    slots: usize,
    /// Which providers are called
    #[arg(long, env = "ARK_PROVIDER", default_value = "auto")]
    provider: Provider,
    /// Address of the fake provider for --provider mock, as `ark mock-provider` prints it
    #[arg(
        long,
        env = "ARK_MOCK_URL",
        value_name = "URL",
        required_if_eq("provider", "mock")
    )]
    mock_url: Option<String>,
    #[command(flatten)]
    url_policy: UrlPolicy,
    /// How long running executions may go on after SIGTERM
    #[arg(long, env = "ARK_DRAIN", default_value = "10m", value_parser = duration)]
    drain: Duration,
    #[command(flatten)]
    metrics: MetricsAddr,
}

impl Worker {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let shutdown = process::shutdown_on_signal()?;
        let store = self.database.open("ark-worker", 10).await?;
        let client = self.cluster.client().await?;
        let mut registry = Registry::default();
        let mode = match (self.provider, self.mock_url) {
            (Provider::Mock, Some(url)) => ProviderMode::Mock { url },
            _ => ProviderMode::Auto,
        };
        let mut config =
            ark_worker::Config::new(host_name(), mode, ark_worker::Metrics::new(&mut registry));
        config.slots = self.slots;
        config.drain = self.drain;
        config.model_url_policy = self.url_policy.policy()?;
        self.metrics.serve(registry, store.clone()).await?;
        println!("ready");
        let result = ark_worker::run(config, client, store.clone(), shutdown).await;
        store.close().await;
        result.context("the worker failed")
    }
}

/// The pod's or machine's name, with the process number, for people.
fn host_name() -> String {
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    format!(
        "{}-{}",
        host.unwrap_or_else(|_| "ark".to_owned()),
        std::process::id()
    )
}
