//! The fake provider: an OpenAI-compatible chat server over real HTTP whose every answer follows
//! from its seed and the request, which fails on demand, and which logs each request it got.
//!
//! A request is read, scripted, possibly spoilt by a fault, played out as a body, and ends as one
//! line of the log. Words anywhere in the latest user message steer it:
//!
//! | word | effect |
//! |---|---|
//! | `turns=N` | the first offered tool is called in every turn before the Nth, which answers |
//! | `calls=M` | each of those turns makes M parallel calls |
//! | `fault=KIND` | every request fails; KIND is a status from 400 to 599, or `quota`, `hang`, `stall`, `cut`, `garbage`, `error` |
//! | `fault=KIND@T` | only the requests of turn T fail |
//! | `fault=KIND*K` | only the first K requests with the same messages fail |
//! | `retry-after=S` | the seconds that an error status announces; a 429 says 1 without it |
//!
//! `POST /admin/faults {"status":429,"count":3,"retry_after":1}` (or `"fault":"hang"`) fails the next
//! requests whatever they say, `DELETE` takes that back; `POST /admin/latency {"ms":1000}` sets the
//! latency; `GET /admin/requests` tells how many requests are in flight and how many have ended.

mod admin;
mod arguments;
mod chat;
mod faults;
mod log;
mod playback;
mod request;
mod script;
mod tools;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use log::{Line, Status, read_log};
pub use request::prompt_hash;
pub use script::answer;

/// Connections that may wait to be accepted: a drain opens thousands at once.
const BACKLOG: u32 = 4096;

/// The largest request body taken, in bytes; long conversations pass axum's default of 2 MB.
const MAX_BODY: usize = 64 << 20;

/// Longer latencies count as this one, so that the end of an answer is a time that the clock can hold.
const MAX_LATENCY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a stop waits for clients to take the end of their answers.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What a fake provider is started with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Answers, tool calls and their ids follow from this and the request alone.
    pub seed: u64,
    /// How long a chat request takes from its arrival to the end of its answer, in whole milliseconds, at most a day.
    pub latency: Duration,
    /// The file that one JSON line per request is appended to; none keeps no log.
    pub log: Option<PathBuf>,
}

/// A running fake provider; it ends with [`Running::stop`], or at once when dropped.
#[must_use = "the provider stops when this is dropped"]
#[derive(Debug)]
pub struct Running {
    /// The address that it listens on.
    pub addr: SocketAddr,
    shutdown: DropGuard,
    server: JoinHandle<()>,
}

impl Running {
    /// The base URL for OpenAI clients, such as `http://127.0.0.1:8080/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Cuts what is still being answered, closes every connection and waits until that is done, at most 5 s.
    pub async fn stop(self) {
        drop(self.shutdown);
        match tokio::time::timeout(STOP_LIMIT, self.server).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the fake provider's server task failed"),
            Err(_) => tracing::warn!("a client of the fake provider does not read its answer"),
        }
    }
}

/// Starts the fake provider on the calling runtime and returns once it listens.
///
/// Raises the process's soft limit of open files to the hard one: each hanging request holds one.
///
/// # Errors
/// When the port is taken or the log file cannot be opened for appending.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    raise_open_files();
    let log = log::Log::open(config.log.as_deref())?;
    let listener = listen(config.port)?;
    let addr = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let provider = Arc::new(Provider {
        seed: config.seed,
        latency_ms: AtomicU64::new(millis(config.latency)),
        faults: faults::Faults::default(),
        log: Arc::new(log),
        shutdown: shutdown.clone(),
    });
    // Without TCP_NODELAY the small chunks of a stream wait for the client's delayed acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a client left before its connection was set up");
        }
    });
    let serve = axum::serve(listener, router(provider))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let server = tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "the fake provider stopped serving");
        }
    });
    Ok(Running {
        addr,
        shutdown: shutdown.drop_guard(),
        server,
    })
}

/// What every handler shares.
struct Provider {
    seed: u64,
    latency_ms: AtomicU64,
    faults: faults::Faults,
    log: Arc<log::Log>,
    shutdown: CancellationToken,
}

impl Provider {
    fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    fn set_latency(&self, latency: Duration) {
        self.latency_ms.store(millis(latency), Ordering::Relaxed);
    }

    /// Waits until `due`; `false` means that the provider is being stopped.
    async fn wait_until(&self, due: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(due) => true,
            () = self.shutdown.cancelled() => false,
        }
    }
}

fn millis(latency: Duration) -> u64 {
    let millis = latency.min(MAX_LATENCY).as_millis();
    u64::try_from(millis).expect("a day has fewer milliseconds")
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket
        .bind(addr)
        .with_context(|| format!("the fake provider cannot listen on {addr}"))?;
    Ok(socket.listen(BACKLOG)?)
}

fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// OpenAI's paths with and without `/v1`, Azure's by deployment and in its `v1` form.
fn router(provider: Arc<Provider>) -> Router {
    let api = Router::new()
        .route("/chat/completions", post(chat::complete))
        .route("/models", get(chat::models));
    let azure = Router::new().route(
        "/openai/deployments/{deployment}/chat/completions",
        post(chat::complete_deployment),
    );
    Router::new()
        .nest("/v1", api.clone().merge(azure.clone()))
        .nest("/openai/v1", api.clone())
        .merge(api)
        .merge(azure)
        .merge(admin::router())
        .nest("/tools", tools::router())
        .fallback(wire::unknown_path)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(provider)
}
