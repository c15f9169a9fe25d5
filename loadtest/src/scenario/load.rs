//! One stream of Queries: its executor, and the Query of each iteration.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::arrivals::{Arrivals, Piece};
use super::duration::Span;
use super::query::Template;

/// How long a per-vu-iterations load may take when it does not say.
const MAX_DURATION: Duration = Duration::from_secs(600);
/// How long iterations under way may take to end when a load's time is over.
const GRACEFUL_STOP: Duration = Duration::from_secs(30);
/// How long a Query is waited for when the load does not say.
const TIMEOUT: Duration = Duration::from_secs(300);

/// One stream of Queries; an entry of `scenarios`.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) name: String,
    pub(super) executor: Executor,
    pub(super) start_time: Duration,
    pub(super) graceful_stop: Duration,
    pub(super) template: Template,
    pub(super) namespaces: Vec<String>,
    pub(super) timeout: Duration,
    /// With `scenario`, the load's name.
    pub(super) tags: BTreeMap<String, String>,
}

/// What starts the iterations of a load.
#[derive(Clone, Debug)]
pub(super) enum Executor {
    /// A schedule, whatever happens to the iterations before.
    Arrivals { arrivals: Arrivals, max_vus: u32 },
    /// So many users, each starting its next iteration when its last one has ended.
    Users { vus: u32, duration: Duration },
    /// So many users with so many iterations each.
    Iterations {
        vus: u32,
        iterations: u64,
        max_duration: Duration,
    },
}

impl Executor {
    /// How long it starts iterations at most.
    pub(super) fn duration(&self) -> Duration {
        match self {
            Self::Arrivals { arrivals, .. } => arrivals.duration(),
            Self::Users { duration, .. } => *duration,
            Self::Iterations { max_duration, .. } => *max_duration,
        }
    }

    /// How many iterations are under way at most.
    pub(super) fn max_vus(&self) -> u32 {
        match self {
            Self::Arrivals { max_vus, .. } => *max_vus,
            Self::Users { vus, .. } | Self::Iterations { vus, .. } => *vus,
        }
    }

    /// Whether the load is open: its iterations start by a schedule, however slow the answers are.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Arrivals { .. })
    }
}

impl fmt::Display for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration().as_secs_f64();
        match self {
            Self::Arrivals { arrivals, max_vus } => {
                let (least, most) = arrivals.rates();
                if least == most {
                    write!(f, "{most:.2} iterations/s for {seconds}s")?;
                } else {
                    write!(f, "{least:.2} to {most:.2} iterations/s over {seconds}s")?;
                }
                write!(f, " (maxVUs: {max_vus})")
            }
            Self::Users { vus, .. } => write!(f, "{vus} looping VUs for {seconds}s"),
            Self::Iterations {
                vus, iterations, ..
            } => write!(
                f,
                "{iterations} iterations for each of {vus} VUs (maxDuration: {seconds}s)"
            ),
        }
    }
}

/// A load as its file says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawLoad {
    executor: String,
    rate: Option<f64>,
    start_rate: Option<f64>,
    time_unit: Option<Span>,
    duration: Option<Span>,
    max_duration: Option<Span>,
    stages: Option<Vec<RawStage>>,
    vus: Option<u32>,
    #[serde(rename = "maxVUs")]
    max_vus: Option<u32>,
    #[serde(rename = "preAllocatedVUs")]
    pre_allocated_vus: Option<u32>,
    iterations: Option<u64>,
    start_time: Option<Span>,
    graceful_stop: Option<Span>,
    exec: RawExec,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStage {
    target: f64,
    duration: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExec {
    manifest: Option<Value>,
    target: Option<Value>,
    input: Option<String>,
    #[serde(default)]
    namespaces: Vec<String>,
    timeout: Option<Span>,
}

impl RawLoad {
    /// Checks what the file says of this load.
    pub(super) fn load(self, name: &str) -> anyhow::Result<Load> {
        let executor = self.executor()?;
        let template = match (self.exec.manifest, self.exec.target, self.exec.input) {
            (Some(manifest), None, None) => Template::of_manifest(manifest)?,
            (None, Some(target), Some(input)) => Template::of_query(&target, &input),
            _ => bail!("exec needs either manifest, or target and input"),
        };
        let mut namespaces = self.exec.namespaces;
        if namespaces.is_empty() {
            namespaces.push("default".to_owned());
        }
        let mut tags = self.tags;
        tags.insert("scenario".to_owned(), name.to_owned());
        Ok(Load {
            name: name.to_owned(),
            executor,
            start_time: self.start_time.map_or(Duration::ZERO, |span| span.0),
            graceful_stop: self.graceful_stop.map_or(GRACEFUL_STOP, |span| span.0),
            template,
            namespaces,
            timeout: self.exec.timeout.map_or(TIMEOUT, |span| span.0),
            tags,
        })
    }

    fn executor(&self) -> anyhow::Result<Executor> {
        match self.executor.as_str() {
            "constant-arrival-rate" => {
                let rate = self.per_second(self.rate.context("rate is missing")?)?;
                self.arrivals(vec![Piece {
                    from: rate,
                    to: rate,
                    seconds: self.duration()?.as_secs_f64(),
                }])
            }
            "ramping-arrival-rate" => self.arrivals(self.pieces()?),
            "constant-vus" => Ok(Executor::Users {
                vus: self.users()?,
                duration: self.duration()?,
            }),
            "per-vu-iterations" => Ok(Executor::Iterations {
                vus: self.users()?,
                iterations: self.iterations.unwrap_or(1),
                max_duration: self.max_duration.map_or(MAX_DURATION, |span| span.0),
            }),
            other => bail!(
                "there is no executor {other:?}; there are constant-arrival-rate, ramping-arrival-rate, constant-vus and per-vu-iterations"
            ),
        }
    }

    fn duration(&self) -> anyhow::Result<Duration> {
        let duration = self.duration.context("duration is missing")?.0;
        ensure!(!duration.is_zero(), "duration must be more than 0");
        Ok(duration)
    }

    fn pieces(&self) -> anyhow::Result<Vec<Piece>> {
        let stages = self.stages.as_ref().context("stages are missing")?;
        let mut from = self.per_second(self.start_rate.unwrap_or(0.0))?;
        let mut pieces = Vec::new();
        for stage in stages {
            let to = self.per_second(stage.target)?;
            let seconds = stage.duration.0.as_secs_f64();
            pieces.push(Piece { from, to, seconds });
            from = to;
        }
        Ok(pieces)
    }

    fn arrivals(&self, pieces: Vec<Piece>) -> anyhow::Result<Executor> {
        let arrivals = Arrivals::new(pieces);
        ensure!(!arrivals.duration().is_zero(), "it has no time to run in");
        let max_vus = self.max_vus.or(self.pre_allocated_vus);
        let max_vus = max_vus.context("maxVUs is missing: how many Queries may be under way")?;
        ensure!(max_vus > 0, "maxVUs must be more than 0");
        Ok(Executor::Arrivals { arrivals, max_vus })
    }

    fn users(&self) -> anyhow::Result<u32> {
        let vus = self.vus.unwrap_or(1);
        ensure!(vus > 0, "vus must be more than 0");
        Ok(vus)
    }

    fn per_second(&self, rate: f64) -> anyhow::Result<f64> {
        let unit = self.time_unit.map_or(1.0, |span| span.0.as_secs_f64());
        ensure!(unit > 0.0, "timeUnit must be more than 0");
        ensure!(rate.is_finite() && rate >= 0.0, "a rate cannot be {rate}");
        Ok(rate / unit)
    }
}
