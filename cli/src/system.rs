//! The whole system in one process: database, API server, dispatcher, workers, and the fake provider where it is wanted.

use std::fs::{File, TryLockError};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use ark_api::admission::{MissingSecrets, ModelUrlPolicy};
use ark_apiserver::PortChoice;
use ark_loadtest::provider;
use ark_store::Store;
use ark_worker::{Overrides, ProviderMode};
use clap::ValueEnum;
use kube::config::{KubeConfigOptions, Kubeconfig};
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::database::{Database, LocalPostgres};

/// How often Queries and executions are compared.
pub(crate) const RESYNC: Duration = Duration::from_secs(60);

/// Which providers are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Provider {
    /// Those that the Models name
    Auto,
    /// The fake one, whatever the Models say; no key is read
    Mock,
}

/// The roles of a system as tasks; each ends with its name.
pub(crate) type Roles = JoinSet<anyhow::Result<&'static str>>;

/// What a system is started with.
pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) port: PortChoice,
    pub(crate) workers: usize,
    pub(crate) provider: Provider,
    pub(crate) overrides: Overrides,
    pub(crate) postgres: LocalPostgres,
    pub(crate) drain: Duration,
}

/// A running system.
pub(crate) struct System {
    pub(crate) store: Store,
    pub(crate) client: kube::Client,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) database_url: String,
    database: Database,
    _lock: File,
    mock: Option<provider::Running>,
    pub(crate) roles: Roles,
    serving: CancellationToken,
    working: CancellationToken,
}

impl System {
    /// Starts everything and returns when the API answers.
    pub(crate) async fn start(options: Options, registry: &mut Registry) -> anyhow::Result<System> {
        make_data_dir(&options.data_dir)?;
        let lock = lock(&options.data_dir)?;
        let database = options.postgres.open(&options.data_dir).await?;
        let store = database.store.clone();
        let mock = match options.provider {
            Provider::Mock => Some(provider::start(provider::Config::default()).await?),
            Provider::Auto => None,
        };
        let mut roles = JoinSet::new();
        let serving = CancellationToken::new();
        let working = CancellationToken::new();
        let kubeconfig = start_apiserver(&options, &store, registry, &mut roles, &serving).await?;
        let client = client(&kubeconfig).await?;
        start_dispatcher(&options, &client, &store, registry, &mut roles, &working);
        start_workers(
            &options,
            mock.as_ref(),
            &client,
            &store,
            registry,
            &mut roles,
            &working,
        );
        Ok(System {
            store,
            client,
            kubeconfig,
            database_url: database.url.clone(),
            database,
            _lock: lock,
            mock,
            roles,
            serving,
            working,
        })
    }

    /// Waits until a role ends, which none should before it is told to.
    pub(crate) async fn failed(roles: &mut Roles) -> anyhow::Error {
        match roles.join_next().await {
            Some(Ok(Ok(role))) => anyhow!("the {role} stopped unexpectedly"),
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => anyhow!("a role panicked: {error}"),
            None => anyhow!("nothing runs"),
        }
    }

    /// Stops in order: first those who work, then the API that they report to, then the database.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.working.cancel();
        let api_only = 1;
        while self.roles.len() > api_only {
            match self.roles.join_next().await {
                Some(Ok(Err(error))) => tracing::warn!("a role ended with an error: {error:#}"),
                Some(_) => {}
                None => break,
            }
        }
        self.serving.cancel();
        while self.roles.join_next().await.is_some() {}
        if let Some(mock) = self.mock {
            mock.stop().await;
        }
        self.database.close().await
    }
}

fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("cannot make the data folder {}", path.display()))
}

/// Keeps the data folder for this process: a second system would take over the first one's database and kubeconfig.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("system.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(anyhow!(
            "a system runs on {} already; its kubeconfig is {}; stop it first, or take another --data-dir",
            data_dir.display(),
            data_dir.join("kubeconfig").display()
        )),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// A client for the context of a kubeconfig file.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot read the kubeconfig {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use the kubeconfig {}", kubeconfig.display()))?;
    kube::Client::try_from(config).context("cannot make a Kubernetes client")
}

impl Options {
    /// Whether Models may name Secrets that are not there, as their keys are not read or given otherwise.
    fn lenient_secrets(&self) -> bool {
        self.provider == Provider::Mock || self.overrides != Overrides::default()
    }
}

async fn start_apiserver(
    options: &Options,
    store: &Store,
    registry: &mut Registry,
    roles: &mut Roles,
    serving: &CancellationToken,
) -> anyhow::Result<PathBuf> {
    let config = ark_apiserver::Config {
        bind: IpAddr::from([127, 0, 0, 1]),
        port: options.port,
        data_dir: options.data_dir.clone(),
        model_url_policy: ModelUrlPolicy::Local,
        missing_secrets: if options.lenient_secrets() {
            MissingSecrets::Warn
        } else {
            MissingSecrets::Reject
        },
        metrics: ark_apiserver::Metrics::register(registry),
    };
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let run = ark_apiserver::run(config, store.clone(), serving.clone(), ready);
    roles.spawn(async move {
        run.await.context("the API server failed")?;
        Ok("API server")
    });
    match is_ready.await {
        Ok(serving) => Ok(serving.kubeconfig),
        Err(_) => match roles.join_next().await {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(anyhow!("the API server stopped before it was ready")),
        },
    }
}

fn start_dispatcher(
    options: &Options,
    client: &kube::Client,
    store: &Store,
    registry: &mut Registry,
    roles: &mut Roles,
    working: &CancellationToken,
) {
    let config = ark_dispatcher::Config {
        leader_elect: false,
        identity: "local".to_owned(),
        namespace: "ark-system".to_owned(),
        authorization: ark_dispatcher::Authorization::Off,
        model_url_policy: ModelUrlPolicy::Local,
        lenient_secrets: options.lenient_secrets(),
        resync: RESYNC,
        metrics: ark_dispatcher::Metrics::register(registry),
    };
    let run = ark_dispatcher::run(config, client.clone(), store.clone(), working.clone());
    roles.spawn(async move {
        run.await.context("the dispatcher failed")?;
        Ok("dispatcher")
    });
}

fn start_workers(
    options: &Options,
    mock: Option<&provider::Running>,
    client: &kube::Client,
    store: &Store,
    registry: &mut Registry,
    roles: &mut Roles,
    working: &CancellationToken,
) {
    let mode = match mock {
        Some(mock) => ProviderMode::Mock { url: mock.url() },
        None => ProviderMode::Auto,
    };
    let metrics = ark_worker::Metrics::new(registry);
    // Without workers somebody still has to beat, clean up and report: a worker without slots.
    for number in 0..options.workers.max(1) {
        let mut config =
            ark_worker::Config::new(format!("local-{number}"), mode.clone(), metrics.clone());
        config.slots = if options.workers == 0 {
            0
        } else {
            config.slots
        };
        config.drain = options.drain;
        config.overrides = options.overrides.clone();
        let run = ark_worker::run(config, client.clone(), store.clone(), working.clone());
        roles.spawn(async move {
            run.await.context("a worker failed")?;
            Ok("worker")
        });
    }
}
