//! One trace per Query, from the API's write to the status write, through the queue's row.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes `span` part of the trace that a W3C traceparent names. Does nothing where no traces are exported.
pub fn join(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&carrier);
    // It fails only where the span is not recorded, and then there is nothing to join.
    span.set_parent(context).ok();
}
