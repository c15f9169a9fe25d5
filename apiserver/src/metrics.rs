//! What the API server counts and measures.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) verb: &'static str,
    pub(crate) resource: String,
    pub(crate) code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct VerbLabels {
    pub(crate) verb: &'static str,
}

/// The metrics of one API server; cheap to clone, all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) duration: Family<VerbLabels, Histogram, fn() -> Histogram>,
    pub(crate) rejected: Counter,
    pub(crate) watches: Gauge,
    pub(crate) watch_events: Counter,
    pub(crate) watch_overruns: Counter,
    pub(crate) commit_size: Histogram,
    pub(crate) commit_duration: Histogram,
}

fn request_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Metrics {
    /// Creates the metrics and names them `ark_apiserver_*` in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(request_buckets),
            rejected: Counter::default(),
            watches: Gauge::default(),
            watch_events: Counter::default(),
            watch_overruns: Counter::default(),
            commit_size: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            commit_duration: request_buckets(),
        };
        let r = registry.sub_registry_with_prefix("ark_apiserver");
        r.register("requests", "Requests answered", metrics.requests.clone());
        r.register_with_unit(
            "request_duration",
            "Time from a request's head to its answer's head, watches excluded",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        r.register(
            "requests_rejected",
            "Requests answered 429 because too many were in flight",
            metrics.rejected.clone(),
        );
        r.register("watches", "Watches open now", metrics.watches.clone());
        r.register(
            "watch_events",
            "Events sent to watches",
            metrics.watch_events.clone(),
        );
        r.register(
            "watch_overruns",
            "Watches ended because their reader was too slow",
            metrics.watch_overruns.clone(),
        );
        r.register(
            "commit_size_writes",
            "Writes per group commit",
            metrics.commit_size.clone(),
        );
        r.register_with_unit(
            "commit_duration",
            "Time of one group commit in the database",
            Unit::Seconds,
            metrics.commit_duration.clone(),
        );
        metrics
    }
}
