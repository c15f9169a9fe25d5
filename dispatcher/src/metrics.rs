//! What the dispatcher counts and measures.

use std::time::Duration;

use ark_plan::resolve::{Kind, SELECTABLE};
use ark_store::Store;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tracing::Span;

use crate::decide::Action;
use crate::trace;

const SAMPLE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabel {
    pub(crate) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ClassLabel {
    pub(crate) class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    pub(crate) kind: &'static str,
}

/// The trace of one of the durations in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TraceLabel {
    trace_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ActionLabel {
    pub(crate) action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StateLabel {
    pub(crate) state: &'static str,
}

/// The metrics of one dispatcher; cheap to clone, all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) leading: Gauge,
    pub(crate) elections: Family<ResultLabel, Counter>,
    pub(crate) open: Gauge,
    pub(crate) decisions: Family<ActionLabel, Counter>,
    pub(crate) enqueued: Family<ResultLabel, Counter>,
    pub(crate) unplannable: Family<ClassLabel, Counter>,
    pub(crate) intents: Family<KindLabel, Counter>,
    pub(crate) expired: Counter,
    pub(crate) selections: Family<KindLabel, Counter>,
    pub(crate) reviews: Family<ResultLabel, Counter>,
    pub(crate) reads: Family<KindLabel, Counter>,
    pub(crate) watch_errors: Counter,
    pub(crate) outages: Family<KindLabel, Counter>,
    pub(crate) strays: Counter,
    planning: HistogramWithExemplars<TraceLabel>,
    pub(crate) batch: Histogram,
    pub(crate) executions: Family<StateLabel, Gauge>,
}

impl Metrics {
    /// Creates the metrics and names them `ark_dispatcher_*` and `ark_queue_*` in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            leading: Gauge::default(),
            elections: Family::default(),
            open: Gauge::default(),
            decisions: Family::default(),
            enqueued: Family::default(),
            unplannable: Family::default(),
            intents: Family::default(),
            expired: Counter::default(),
            selections: Family::default(),
            reviews: Family::default(),
            reads: Family::default(),
            watch_errors: Counter::default(),
            outages: Family::default(),
            strays: Counter::default(),
            planning: HistogramWithExemplars::new(exponential_buckets(0.001, 2.0, 15)),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            executions: Family::default(),
        };
        metrics.start_at_zero();
        let dispatcher = registry.sub_registry_with_prefix("ark_dispatcher");
        metrics.register_decisions(dispatcher);
        metrics.register_planning(dispatcher);
        registry.register(
            "ark_queue_executions",
            "Executions in the queue, by state",
            metrics.executions.clone(),
        );
        metrics
    }

    fn register_decisions(&self, r: &mut Registry) {
        r.register(
            "leading",
            "1 while this dispatcher is the one that works",
            self.leading.clone(),
        );
        r.register(
            "elections",
            "Changes of leadership of this dispatcher, by result: taken, lost or released",
            self.elections.clone(),
        );
        r.register(
            "open_queries",
            "Queries that have not ended, as far as the watch has shown",
            self.open.clone(),
        );
        r.register(
            "decisions",
            "What was decided about a query that was seen, by action",
            self.decisions.clone(),
        );
        r.register(
            "intents",
            "Intents carried out, by kind",
            self.intents.clone(),
        );
        r.register(
            "expired",
            "Finished queries deleted at their ttl",
            self.expired.clone(),
        );
        r.register(
            "watch_errors",
            "Errors of the watch, each followed by another attempt",
            self.watch_errors.clone(),
        );
        r.register(
            "outages",
            "Attempts that failed and are repeated, by what was unavailable",
            self.outages.clone(),
        );
        r.register(
            "strays",
            "Queries and executions that only the comparison found",
            self.strays.clone(),
        );
    }

    fn register_planning(&self, r: &mut Registry) {
        r.register(
            "selections",
            "Lists read for selectors of targets, by kind",
            self.selections.clone(),
        );
        r.register(
            "access_reviews",
            "Rights of service accounts that were asked for, by result: allowed, denied or refused",
            self.reviews.clone(),
        );
        r.register(
            "object_reads",
            "Objects read for planning, by kind",
            self.reads.clone(),
        );
        r.register(
            "unplannable",
            "Queries that could not be planned, by class",
            self.unplannable.clone(),
        );
        r.register_with_unit(
            "planning",
            "Time from a query's first sight to its plan",
            Unit::Seconds,
            self.planning.clone(),
        );
        r.register(
            "enqueued",
            "Enqueues by result: new or existing",
            self.enqueued.clone(),
        );
        r.register(
            "enqueue_batch_size",
            "Executions per enqueue",
            self.batch.clone(),
        );
    }

    // So that a rate over them is 0 and not empty until the first event.
    fn start_at_zero(&self) {
        for result in ["taken", "lost", "released"] {
            drop(self.elections.get_or_create(&ResultLabel { result }));
        }
        for action in ["plan", "cancel", "ttl", "rearm", "forget", "close", "none"] {
            drop(self.decisions.get_or_create(&ActionLabel { action }));
        }
        for kind in SELECTABLE.map(Kind::as_str) {
            drop(self.selections.get_or_create(&KindLabel { kind }));
        }
        for result in ["allowed", "denied", "refused"] {
            drop(self.reviews.get_or_create(&ResultLabel { result }));
        }
    }

    pub(crate) fn decided(&self, actions: &[Action]) {
        let names = actions.iter().map(|action| action.as_str());
        // Most changes of a Query are those of its status, which ask for nothing.
        let nothing = actions.is_empty().then_some("none");
        for action in names.chain(nothing) {
            self.decisions.get_or_create(&ActionLabel { action }).inc();
        }
    }

    /// Counts the planning of one query, with the trace of its span as exemplar.
    pub(crate) fn planned(&self, took: Duration, span: &Span) {
        let trace = trace::id(span).map(|trace_id| TraceLabel { trace_id });
        self.planning.observe(took.as_secs_f64(), trace, None);
    }

    pub(crate) fn election(&self, result: &'static str) {
        self.elections.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn outage(&self, of: &'static str) {
        self.outages.get_or_create(&KindLabel { kind: of }).inc();
    }
}

/// Reads the queue's totals at intervals; a failed reading leaves the last one standing.
pub(crate) async fn sample(store: Store, metrics: Metrics) {
    let mut every = tokio::time::interval(SAMPLE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Ok(totals) = store.totals().await else {
            metrics.outage("database");
            continue;
        };
        let states = [
            ("ready", totals.ready),
            ("scheduled", totals.scheduled),
            ("running", totals.running),
            ("unreported", totals.unreported),
        ];
        for (state, count) in states {
            metrics
                .executions
                .get_or_create(&StateLabel { state })
                .set(count);
        }
    }
}
