//! What a Query's trace shows of its way into the queue: `plan`, from the first look at it to its row, and `enqueue`, the
//! write of that row with others. Where nothing is exported, all of it does nothing.

use ark_store::NewExecution;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::{Span, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// The planning of one Query.
pub(crate) fn plan(uid: Uuid) -> Span {
    let span = info_span!(
        "plan",
        ark.query.namespace = field::Empty,
        ark.query.name = field::Empty,
        otel.status_code = field::Empty,
        error.type = field::Empty,
    );
    join(&span, &ark_api::trace::traceparent(uid));
    span
}

/// What the planning came to.
pub(crate) fn planned(span: &Span, new: &NewExecution) {
    span.record("ark.query.namespace", &new.namespace);
    span.record("ark.query.name", &new.name);
    let failure = new.outcome.as_ref().and_then(|outcome| outcome.class);
    if let Some(class) = failure {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", class.as_str());
    }
}

/// The write of one row, as long as that of its whole batch.
pub(crate) fn enqueue(new: &NewExecution) -> Span {
    let span = info_span!(
        "enqueue",
        otel.kind = "producer",
        ark.query.namespace = new.namespace,
        ark.query.name = new.name,
        ark.enqueued = field::Empty,
    );
    if let Some(trace) = &new.trace {
        join(&span, trace);
    }
    span
}

/// The trace of a span, if it is exported; an exemplar for a histogram.
pub(crate) fn id(span: &Span) -> Option<String> {
    let context = span.context().span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}

fn join(span: &Span, traceparent: &str) {
    // Refused without a cost where no layer exports.
    if span.set_parent(Context::new()).is_ok() {
        ark_store::trace::join(span, traceparent);
    }
}
