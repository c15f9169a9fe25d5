//! The metrics of a worker process: seconds and counts, labels of low cardinality.

use std::time::Duration;

use ark_plan::{Class, Outcome, Phase, Usage};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::Registry;

use crate::trace;

/// Durations, each bucket with the trace of one that fell into it, where traces are exported.
type Seconds = HistogramWithExemplars<Trace>;

/// Handles to the metrics of one process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) slots_busy: Gauge,
    pub(crate) claimed: Counter,
    queue_wait: Seconds,
    ended: Family<Ended, Counter>,
    pub(crate) retried: Counter,
    pub(crate) given_back: Counter,
    pub(crate) stale: Counter,
    pub(crate) incarnations_lost: Counter,
    pub(crate) steps: Counter,
    pub(crate) replayed: Counter,
    model_calls: Family<Called, Counter>,
    model_call: Seconds,
    first_token: Seconds,
    tokens: Family<Kind, Counter>,
    tool_calls: Family<Called, Counter>,
    tool_call: Seconds,
    limit_wait: Seconds,
    reports: Family<Called, Counter>,
    upkeep: Family<Kind, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    phase: &'static str,
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Trace {
    trace_id: String,
}

impl Metrics {
    /// Declares the metrics in `registry`; once per process.
    pub fn new(registry: &mut Registry) -> Self {
        // 5 ms to about 11 minutes.
        let seconds = || Seconds::new(exponential_buckets(0.005, 2.0, 18));
        let metrics = Self {
            slots_busy: Gauge::default(),
            claimed: Counter::default(),
            queue_wait: seconds(),
            ended: Family::default(),
            retried: Counter::default(),
            given_back: Counter::default(),
            stale: Counter::default(),
            incarnations_lost: Counter::default(),
            steps: Counter::default(),
            replayed: Counter::default(),
            model_calls: Family::default(),
            model_call: seconds(),
            first_token: seconds(),
            tokens: Family::default(),
            tool_calls: Family::default(),
            tool_call: seconds(),
            limit_wait: seconds(),
            reports: Family::default(),
            upkeep: Family::default(),
        };
        metrics.register_runs(registry);
        metrics.register_calls(registry);
        metrics
    }

    fn register_runs(&self, registry: &mut Registry) {
        registry.register(
            "ark_worker_slots_busy",
            "Slots that hold a run",
            self.slots_busy.clone(),
        );
        registry.register(
            "ark_worker_claimed",
            "Executions claimed",
            self.claimed.clone(),
        );
        registry.register(
            "ark_worker_queue_wait_seconds",
            "From enqueue to claim, resumed runs included",
            self.queue_wait.clone(),
        );
        registry.register(
            "ark_worker_ended",
            "Runs ended, by phase and class of failure",
            self.ended.clone(),
        );
        registry.register(
            "ark_worker_retried",
            "Runs put off for another attempt",
            self.retried.clone(),
        );
        registry.register(
            "ark_worker_given_back",
            "Runs given back without having started",
            self.given_back.clone(),
        );
        registry.register(
            "ark_worker_stale",
            "Writes refused because the run had ended or belonged to another worker",
            self.stale.clone(),
        );
        registry.register(
            "ark_worker_incarnations_lost",
            "Times that this process was found dead by the others",
            self.incarnations_lost.clone(),
        );
        registry.register("ark_worker_steps", "Steps committed", self.steps.clone());
        registry.register(
            "ark_worker_replayed",
            "Committed steps reused after a take-over or retry",
            self.replayed.clone(),
        );
    }

    fn register_calls(&self, registry: &mut Registry) {
        registry.register(
            "ark_model_calls",
            "Model calls by result",
            self.model_calls.clone(),
        );
        registry.register(
            "ark_model_call_seconds",
            "Duration of model calls",
            self.model_call.clone(),
        );
        registry.register(
            "ark_model_first_token_seconds",
            "From the request to the first token of a streamed reply",
            self.first_token.clone(),
        );
        registry.register("ark_model_tokens", "Tokens by kind", self.tokens.clone());
        registry.register(
            "ark_tool_calls",
            "Tool calls by result",
            self.tool_calls.clone(),
        );
        registry.register(
            "ark_tool_call_seconds",
            "Duration of tool calls",
            self.tool_call.clone(),
        );
        registry.register(
            "ark_limit_wait_seconds",
            "Waiting for a scope's limits before a call",
            self.limit_wait.clone(),
        );
        registry.register(
            "ark_reports",
            "Status reports by result",
            self.reports.clone(),
        );
        registry.register(
            "ark_upkeep_rows",
            "Rows changed by upkeep, by task",
            self.upkeep.clone(),
        );
    }

    pub(crate) fn ended(&self, outcome: &Outcome) {
        let class = outcome
            .class
            .filter(|_| outcome.phase == Phase::Error)
            .map_or("", Class::as_str);
        self.ended
            .get_or_create(&Ended {
                phase: outcome.phase.as_str(),
                class,
            })
            .inc();
    }

    /// The run of the current span waited this long for a worker.
    pub(crate) fn queue_wait(&self, waited: Duration) {
        observe(&self.queue_wait, waited);
    }

    pub(crate) fn limit_wait(&self, waited: Duration) {
        observe(&self.limit_wait, waited);
    }

    pub(crate) fn first_token(&self, after: Duration) {
        observe(&self.first_token, after);
    }

    pub(crate) fn model_call(&self, result: Result<Usage, Class>, took: Duration) {
        observe(&self.model_call, took);
        match result {
            Ok(usage) => {
                self.model_calls
                    .get_or_create(&Called { result: "ok" })
                    .inc();
                self.count_tokens("prompt", usage.prompt_tokens);
                self.count_tokens("completion", usage.completion_tokens);
                self.count_tokens("cached", usage.cached_tokens);
            }
            Err(class) => {
                _ = self
                    .model_calls
                    .get_or_create(&Called {
                        result: class.as_str(),
                    })
                    .inc()
            }
        }
    }

    fn count_tokens(&self, kind: &'static str, tokens: i64) {
        self.tokens
            .get_or_create(&Kind { kind })
            .inc_by(u64::try_from(tokens).unwrap_or(0));
    }

    pub(crate) fn tool_call(&self, result: &'static str, took: Duration) {
        observe(&self.tool_call, took);
        self.tool_calls.get_or_create(&Called { result }).inc();
    }

    pub(crate) fn report(&self, result: &'static str) {
        self.reports.get_or_create(&Called { result }).inc();
    }

    pub(crate) fn upkeep(&self, kind: &'static str, rows: u64) {
        self.upkeep.get_or_create(&Kind { kind }).inc_by(rows);
    }
}

/// Counts a duration, with the trace of the current span as its exemplar.
fn observe(seconds: &Seconds, took: Duration) {
    let trace = trace::current_id().map(|trace_id| Trace { trace_id });
    seconds.observe(took.as_secs_f64(), trace, None);
}
