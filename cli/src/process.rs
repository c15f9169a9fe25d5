//! What every process of ours has: signals, and an address for metrics and health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ark_store::Store;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use clap::Args;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

/// Lets the process hold as many sockets as the system allows: a worker has one per call in flight.
pub(crate) fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    }
}

/// A token that is cancelled by the first SIGINT or SIGTERM; a second one ends the process.
pub(crate) fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        for last in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if last {
                eprintln!("ark: ended at once by a second signal");
                std::process::exit(130);
            }
            tracing::info!("shutting down; a second signal ends the process at once");
            shutdown.cancel();
        }
    });
    Ok(token)
}

/// Where a process shows its metrics and health.
#[derive(Debug, Args)]
pub(crate) struct MetricsAddr {
    /// Address of /metrics, /healthz and /readyz; port 0 takes any, the log says which
    #[arg(
        long,
        env = "ARK_METRICS_ADDR",
        default_value = "127.0.0.1:0",
        value_name = "ADDR"
    )]
    metrics_addr: SocketAddr,
}

#[derive(Clone)]
struct Health {
    registry: Arc<Registry>,
    store: Store,
}

impl MetricsAddr {
    /// Serves until the process ends; returns the address.
    pub(crate) async fn serve(
        &self,
        registry: Registry,
        store: Store,
    ) -> anyhow::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(self.metrics_addr)
            .await
            .with_context(|| format!("cannot listen on --metrics-addr {}", self.metrics_addr))?;
        let addr = listener.local_addr()?;
        let health = Health {
            registry: Arc::new(registry),
            store,
        };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(ready))
            .with_state(health);
        tokio::spawn(async move { axum::serve(listener, router).await });
        tracing::info!(%addr, "metrics and health at http://{addr}");
        Ok(addr)
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &health.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    match tokio::time::timeout(Duration::from_secs(2), health.store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, "ok"),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database is unavailable",
        ),
    }
}
