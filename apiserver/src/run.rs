//! The server's life: credentials, listener, background tasks, serving, end.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ark_api::admission::{MissingSecrets, ModelUrlPolicy, Rules};
use ark_store::Store;
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::credentials::Credentials;
use crate::credentials::certificate::{LEAF_RENEWAL, ServingCertificate};
use crate::credentials::service_accounts::Tokens;
use crate::discovery::aggregated::Aggregated;
use crate::error::Error;
use crate::front::serve;
use crate::metrics::Metrics;
use crate::namespaces::{self, Namespaces};
use crate::openapi::OpenApi;
use crate::server::{Seen, Server};
use crate::storage::commit::Committer;
use crate::storage::follower::Follower;
use crate::storage::seal::Sealer;

/// Requests served at once, as many as the Kubernetes server allows; watches are not counted.
const READS: usize = 400;
const WRITES: usize = 200;
/// How far back a watch can resume.
const HISTORY: Duration = Duration::from_secs(5 * 60);
const COMPACT_EVERY: Duration = Duration::from_secs(30);

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// This port or none; 0 lets the system choose.
    Exact(u16),
    /// This port, or the next one that is free.
    NextFree(u16),
}

/// The settings of a server.
#[derive(Debug)]
pub struct Config {
    /// The address to listen on; the certificate names it.
    pub bind: IpAddr,
    /// The port to listen on.
    pub port: PortChoice,
    /// Where certificate authority, token, sealing key and kubeconfig are kept; other servers may share it.
    pub data_dir: PathBuf,
    /// Which URLs Models may have.
    pub model_url_policy: ModelUrlPolicy,
    /// What becomes of references to Secrets that do not exist.
    pub missing_secrets: MissingSecrets,
    /// Where requests, watches and commits are counted.
    pub metrics: Metrics,
}

/// What a server that has begun to serve tells.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The address with the port that was taken.
    pub addr: SocketAddr,
    /// The kubeconfig for this server.
    pub kubeconfig: PathBuf,
}

/// Serves until `shutdown`; `ready` is told once requests can be made.
///
/// The store must have been migrated. Watches end at shutdown, requests have ten seconds more.
pub async fn run(
    config: Config,
    store: Store,
    shutdown: CancellationToken,
    ready: oneshot::Sender<Serving>,
) -> Result<(), Error> {
    store.check().await?;
    let credentials = Credentials::load(&config.data_dir)?;
    let certificate = ServingCertificate::issue(&credentials.authority, config.bind)?;
    let tls = TlsAcceptor::from(Arc::new(Arc::clone(&certificate).server_config()?));
    let listener = serve::bind(config.bind, config.port).await?;
    let addr = listener.local_addr().map_err(|source| Error::Bind {
        addr: SocketAddr::new(config.bind, 0),
        source,
    })?;
    let server = Arc::new(assemble(
        &config,
        &credentials,
        store.clone(),
        shutdown.clone(),
    )?);
    namespaces::create_defaults(&server)
        .await
        .map_err(|status| Error::FirstObjects(status.internal.unwrap_or(status.message)))?;
    let kubeconfig = credentials.write_kubeconfig(addr)?;
    tokio::spawn(namespaces::sweep(Arc::clone(&server), shutdown.clone()));
    tokio::spawn(compact(store, shutdown.clone()));
    tokio::spawn(renew(certificate, credentials, shutdown.clone()));
    tracing::warn!(
        "the holder of this server's token may do everything: access reviews allow all, RBAC is not enforced"
    );
    tracing::info!(%addr, kubeconfig = %kubeconfig.display(), "serving the Kubernetes API");
    // Nobody may be waiting for it.
    let _ = ready.send(Serving { addr, kubeconfig });
    serve::serve(listener, tls, server, shutdown).await;
    Ok(())
}

fn assemble(
    config: &Config,
    credentials: &Credentials,
    store: Store,
    shutdown: CancellationToken,
) -> Result<Server, Error> {
    let metrics = config.metrics.clone();
    Ok(Server {
        committer: Committer::start(store.clone(), metrics.clone()),
        follower: Follower::start(store.clone(), metrics.clone(), shutdown.clone()),
        sealer: Sealer::new(&credentials.seal)?,
        namespaces: Namespaces::default(),
        seen: Seen::default(),
        openapi: OpenApi::generate(),
        discovery: Aggregated::generate(),
        admission: Rules {
            model_urls: config.model_url_policy,
            missing_secrets: config.missing_secrets,
        },
        token: credentials.token.clone(),
        service_accounts: Tokens::new(&credentials.seal),
        reads: Semaphore::new(READS),
        writes: Semaphore::new(WRITES),
        store,
        metrics,
        shutdown,
    })
}

/// Forgets changes that no watch can resume from any more.
async fn compact(store: Store, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(COMPACT_EVERY) => {}
        }
        if let Err(error) = store.compact(HISTORY).await {
            tracing::debug!(%error, "old changes are not dropped now");
        }
    }
}

async fn renew(
    certificate: Arc<ServingCertificate>,
    credentials: Credentials,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LEAF_RENEWAL) => {}
        }
        if let Err(error) = certificate.renew(&credentials.authority) {
            tracing::error!(%error, "the serving certificate cannot be renewed");
        }
    }
}
