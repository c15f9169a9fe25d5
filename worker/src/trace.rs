//! The trace of a Query, as it goes through this process and on to whoever is called: every span that this crate opens,
//! named by OpenTelemetry's conventions, those for generative AI included. Where nothing is exported, all of it does
//! nothing.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use ark_plan::{AgentPlan, Outcome, ToolPlan};
use ark_store::{Report, Run};
use opentelemetry::trace::{
    Span as _, SpanContext, TraceContextExt, TraceFlags, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceId, global};
use tracing::{Span, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::failure::Failure;
use crate::finish::Ending;
use crate::provider::Reply;

/// One run, from its claim to its ending, in the trace of its row.
pub(crate) fn execution(run: &Run) -> Span {
    let span = info_span!(
        "execution",
        ark.execution = %format_args!("{}/{}", run.uid, run.round),
        ark.query.namespace = run.namespace,
        ark.query.name = run.name,
        ark.attempt = run.attempt,
        ark.resumed = run.resumed,
        otel.status_code = field::Empty,
        error.type = field::Empty,
    );
    join(&span, run.trace.as_deref());
    if !run.resumed {
        queue_wait(&span, run.trace.as_deref(), run.waited);
    }
    span
}

/// The whole work of an agent on one Query.
pub(crate) fn invoke_agent(agent: &AgentPlan) -> Span {
    info_span!(
        "invoke_agent",
        otel.name = format_args!("invoke_agent {}", agent.name),
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = agent.name,
        gen_ai.provider.name = provider_name(&agent.model.provider),
    )
}

/// One model call; `requested` is the provider's name of the model.
pub(crate) fn chat(provider: &str, requested: &str, path: &str) -> Span {
    info_span!(
        "chat",
        otel.name = format_args!("chat {requested}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        ark.step = path,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = requested,
        gen_ai.response.model = field::Empty,
        gen_ai.usage.input_tokens = field::Empty,
        gen_ai.usage.output_tokens = field::Empty,
        gen_ai.usage.cache_read.input_tokens = field::Empty,
        error.type = field::Empty,
    )
}

/// What a model call brought.
pub(crate) fn replied(span: &Span, result: &Result<Reply, Failure>) {
    match result {
        Ok(reply) => {
            if let Some(model) = &reply.model {
                span.record("gen_ai.response.model", model);
            }
            let usage = reply.usage;
            span.record("gen_ai.usage.input_tokens", usage.prompt_tokens);
            span.record("gen_ai.usage.output_tokens", usage.completion_tokens);
            span.record("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens);
        }
        Err(failure) => failed(span, failure.class.as_str()),
    }
}

/// One tool call. `id`: the model's name of it, where a model made it.
pub(crate) fn execute_tool(tool: &ToolPlan, path: &str, id: Option<&str>) -> Span {
    info_span!(
        "execute_tool",
        otel.name = format_args!("execute_tool {}", tool.name),
        otel.status_code = field::Empty,
        ark.step = path,
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = tool.name,
        gen_ai.tool.type = "function",
        gen_ai.tool.call.id = id,
        error.type = field::Empty,
    )
}

/// The write of an ending, from the moment that it is known; in the trace of the current span.
pub(crate) fn finish() -> Span {
    info_span!("finish", ark.outcome = field::Empty)
}

/// What a run came to, as its own span and the span of its write say it.
pub(crate) fn ended(execution: &Span, finish: &Span, ending: &Ending) {
    let outcome = match ending {
        Ending::Outcome(outcome) => outcome.phase.as_str(),
        Ending::Later { .. } => "retry",
        Ending::GiveBack => "given back",
    };
    finish.record("ark.outcome", outcome);
    if let Ending::Outcome(Outcome {
        class: Some(class), ..
    }) = ending
    {
        failed(execution, class.as_str());
    }
}

/// One write of a Query's status, in the trace of its row.
pub(crate) fn report(report: &Report) -> Span {
    let span = info_span!(
        "report",
        otel.kind = "client",
        ark.execution = %format_args!("{}/{}", report.uid, report.round),
        ark.query.namespace = report.namespace,
        ark.query.name = report.name,
        ark.report = field::Empty,
    );
    join(&span, report.trace.as_deref());
    span
}

/// Marks a span, declared with the empty fields `error.type` and `otel.status_code`, as failed.
pub(crate) fn failed(span: &Span, kind: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

/// The traceparent for a request that leaves now: of the current span, or else the row's.
pub(crate) fn outgoing(of_row: Option<&str>) -> Option<Cow<'_, str>> {
    let Some(current) = current() else {
        return of_row.map(Cow::Borrowed);
    };
    let (trace, span) = (current.trace_id(), current.span_id());
    let flags = current.trace_flags().to_u8();
    Some(format!("00-{trace}-{span}-{flags:02x}").into())
}

/// The trace of the current span, if it is exported; an exemplar for a histogram.
pub(crate) fn current_id() -> Option<String> {
    current().map(|context| context.trace_id().to_string())
}

fn current() -> Option<SpanContext> {
    let context = Span::current().context().span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then_some(context)
}

/// Makes `span` part of the trace that a W3C traceparent names, if it is exported.
fn join(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent
        // Refused without a cost where no layer exports.
        && span.set_parent(Context::new()).is_ok()
    {
        ark_store::trace::join(span, traceparent);
    }
}

/// The time between enqueue and claim, as a span beside `execution`. It began in another process, and the layer that
/// exports all other spans knows no beginning but now.
fn queue_wait(execution: &Span, traceparent: Option<&str>, waited: Duration) {
    if !execution.context().span().span_context().is_sampled() {
        return;
    }
    let Some(parent) = traceparent.and_then(parse) else {
        return;
    };
    let now = SystemTime::now();
    let tracer = global::tracer("ark");
    tracer
        .span_builder("queue wait")
        .with_start_time(now - waited)
        .with_attributes([KeyValue::new("ark.queue.wait", waited.as_secs_f64())])
        .start_with_context(&tracer, &Context::new().with_remote_span_context(parent))
        .end_with_timestamp(now);
}

/// Reads version 00 of <https://www.w3.org/TR/trace-context/>.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let context = SpanContext::new(
        trace,
        span,
        TraceFlags::new(flags),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// The provider by the names of the conventions.
fn provider_name(provider: &str) -> &str {
    match provider {
        "azure" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-0af7651916cd43dd-01";
        let context = parse(text).unwrap();
        assert_eq!(
            context.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert!(context.is_sampled() && context.is_remote());
        for broken in ["", "00-0-0-01", "00-0af7651916cd43dd8448eb211c80319c"] {
            assert!(parse(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn without_an_exporter_the_rows_trace_goes_on() {
        assert_eq!(outgoing(Some("00-a-b-01")).as_deref(), Some("00-a-b-01"));
        assert_eq!(current_id(), None);
    }
}
