//! The fake provider: chat completions as OpenAI and Azure serve them and messages as Anthropic does, over real HTTP.
//! Every answer follows from its seed and the request; it fails on demand, limits like a real one, and logs each request.
//!
//! A request is read, scripted, possibly spoilt by a fault, played out as a body, and ends as one
//! line of the log. Words anywhere in the latest user message steer it:
//!
//! | word | effect |
//! |---|---|
//! | `turns=N` | the first offered tool is called in every turn before the Nth, which answers |
//! | `calls=M` | each of those turns makes M parallel calls |
//! | `fault=KIND` | every request fails; KIND is a status from 400 to 599, or a name from below |
//! | `fault=KIND@T` | only the requests of turn T fail |
//! | `fault=KIND*K` | only the first K requests with the same messages fail |
//! | `retry-after=S`, `retry-after-ms=MS` | the wait that an error status announces; a 429 says 1 s without it |
//! | `retry-form=FORM` | how it is said: `seconds`, `date`, `ms`, `openai` (`x-ratelimit-reset-requests`), `anthropic` (`anthropic-ratelimit-requests-reset`), `none` |
//!
//! Faults by name: `quota` (no money left), `hang` (no answer), `hang-body` (headers and no body), `stall` (a beginning
//! and no more), `cut` (the connection ends in the middle), `garbage` or `malformed` (a 200 that is no JSON), `no-usage`
//! (a complete answer without its cost), `error` (an error inside a stream).
//!
//! A running provider is changed through `/admin`:
//!
//! | request | effect |
//! |---|---|
//! | `POST /admin/faults {"status": 429, "count": 3, "retry_after": 1, "retry_form": "date"}` | the next 3 requests fail, whatever they say; `"fault": "hang"` instead of a status |
//! | `POST /admin/faults {"status": 529, "share": 0.3}` | 3 of 10 requests fail from now on |
//! | `DELETE /admin/faults` | takes both back |
//! | `POST /admin/latency {"ms": 250}` | what each answer takes; also `{"uniform": [100, 400]}` or `{"lognormal": {"p50": 250, "p99": 2000}}` |
//! | `POST /admin/latency {"ms": 250, "tokens_per_second": 40}` | `ms` to the first token, the others at that rate |
//! | `POST /admin/limits {"requests_per_minute": 60, "tokens_per_minute": 9000, "burst_seconds": 60}` | limits each model; `DELETE` takes them back |
//! | `GET /admin/requests` | how many requests are in flight and how many have ended |

mod admin;
mod anthropic;
mod arguments;
mod cache;
mod chat;
mod dialect;
mod faults;
mod limits;
mod log;
mod openai;
mod pace;
mod playback;
mod request;
mod retry_after;
mod script;
mod tools;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
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

pub use limits::Limits;
pub use log::{Line, Status, read_log};
pub use pace::{Distribution, Pace, Percentiles};
pub use request::prompt_hash;
pub use script::answer;

/// Connections that may wait to be accepted: a drain opens thousands at once.
const BACKLOG: u32 = 4096;

/// The largest request body taken, in bytes; long conversations pass axum's default of 2 MB.
const MAX_BODY: usize = 64 << 20;

/// How long a stop waits for clients to take the end of their answers.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What a fake provider is started with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Answers, tool calls and their ids follow from this and the request alone.
    pub seed: u64,
    /// How long a request takes from its arrival to the end of its answer, at most a day.
    pub latency: Duration,
    /// The file that one JSON line per request is appended to; none keeps no log.
    pub log: Option<PathBuf>,
}

/// How a fake provider behaves from its start; `/admin` changes it later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// How fast answers come; none takes [`Config::latency`] for each.
    pub pace: Option<Pace>,
    /// What each model may be asked.
    pub limits: Limits,
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
    start_with(config, Behaviour::default()).await
}

/// Starts the fake provider like [`start`], with a behaviour of its own.
///
/// # Errors
/// As [`start`], and when the behaviour holds senseless numbers.
pub async fn start_with(config: Config, behaviour: Behaviour) -> anyhow::Result<Running> {
    let pace = behaviour
        .pace
        .unwrap_or_else(|| Pace::fixed(config.latency));
    let problem = pace.problem().or_else(|| behaviour.limits.problem());
    anyhow::ensure!(problem.is_none(), "{}", problem.unwrap_or_default());
    raise_open_files();
    let log = log::Log::open(config.log.as_deref())?;
    let listener = listen(config.port)?;
    let addr = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let provider = Arc::new(Provider {
        seed: config.seed,
        pace: RwLock::new(pace),
        cache: cache::Cache::default(),
        limiter: Arc::default(),
        faults: faults::Faults::default(),
        log: Arc::new(log),
        shutdown: shutdown.clone(),
    });
    provider.limiter.set(behaviour.limits);
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
    pace: RwLock<Pace>,
    cache: cache::Cache,
    limiter: Arc<limits::Limiter>,
    faults: faults::Faults,
    log: Arc<log::Log>,
    shutdown: CancellationToken,
}

impl Provider {
    fn pace(&self) -> Pace {
        *self.pace.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_pace(&self, pace: Pace) {
        *self.pace.write().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    /// Waits until `due`; `false` means that the provider is being stopped.
    async fn wait_until(&self, due: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(due) => true,
            () = self.shutdown.cancelled() => false,
        }
    }
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

/// OpenAI's paths with and without `/v1`, Azure's by deployment and in its `v1` form, Anthropic's behind either base URL.
fn router(provider: Arc<Provider>) -> Router {
    let api = Router::new()
        .route("/chat/completions", post(chat::complete))
        .route("/models", get(chat::models));
    let azure = Router::new().route(
        "/openai/deployments/{deployment}/chat/completions",
        post(chat::complete_deployment),
    );
    let anthropic = Router::new()
        .route("/messages", post(chat::messages))
        .route("/v1/messages", post(chat::messages));
    Router::new()
        .nest("/v1", api.clone().merge(azure.clone()).merge(anthropic))
        .nest("/openai/v1", api.clone())
        .route("/messages", post(chat::messages))
        .merge(api)
        .merge(azure)
        .merge(admin::router())
        .nest("/tools", tools::router())
        .fallback(openai::unknown_path)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(provider)
}
