//! One trace for one Query: its spans, their parents, and what goes out with the calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ark_plan::Target;
use opentelemetry::trace::{SpanId, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use prometheus_client::registry::Registry;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::bench::Bench;

#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Spans {
    /// Names of the spans of a trace with the names of their parents, sorted.
    fn tree(&self, trace: &str) -> Vec<(String, String)> {
        let spans = self.0.lock().unwrap();
        let ours = || {
            spans
                .iter()
                .filter(|span| span.span_context.trace_id().to_string() == trace)
        };
        let names: HashMap<SpanId, &str> = ours()
            .map(|span| (span.span_context.span_id(), &*span.name))
            .collect();
        let parent = |span: &SpanData| names.get(&span.parent_span_id).copied().unwrap_or("query");
        let mut tree: Vec<_> = ours()
            .map(|span| (span.name.to_string(), parent(span).to_owned()))
            .collect();
        tree.sort();
        tree
    }

    fn attribute(&self, span: &str, key: &str) -> Option<String> {
        let spans = self.0.lock().unwrap();
        let span = spans.iter().find(|one| one.name == span)?;
        let attribute = span.attributes.iter().find(|one| one.key.as_str() == key)?;
        Some(attribute.value.to_string())
    }
}

#[tokio::test]
async fn a_query_is_one_trace() {
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    let ours = filter_fn(|metadata| metadata.target().starts_with("ark_worker"));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("test"))
        .with_filter(ours);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let bench = Bench::new(Duration::ZERO).await;
    let mut registry = Registry::default();
    let mut config = bench.config(4);
    config.metrics = ark_worker::Metrics::new(&mut registry);
    let agent = bench.agent_plan(
        bench.model_at("anthropic"),
        vec![bench.tool("GET", "weather")],
    );
    let uid = bench
        .ask(
            "q",
            Target::Agent(agent),
            "turns=2 go",
            Duration::from_secs(60),
        )
        .await;
    let worker = bench.worker_with(config);
    bench.kubernetes.ended("q").await;
    worker.stop().await;

    let trace = uid.simple().to_string();
    let expected = [
        ("chat gpt", "invoke_agent a"),
        ("chat gpt", "invoke_agent a"),
        ("execute_tool tool", "invoke_agent a"),
        ("execution", "query"),
        ("finish", "execution"),
        ("invoke_agent a", "execution"),
        ("queue wait", "query"),
        ("report", "query"),
    ];
    let expected = expected.map(|(name, parent)| (name.to_owned(), parent.to_owned()));
    assert_eq!(spans.tree(&trace), expected);
    let chat = |key| spans.attribute("chat gpt", key);
    assert_eq!(chat("gen_ai.operation.name").as_deref(), Some("chat"));
    assert_eq!(chat("gen_ai.provider.name").as_deref(), Some("anthropic"));
    assert_eq!(chat("gen_ai.request.model").as_deref(), Some("gpt"));
    assert!(chat("gen_ai.usage.input_tokens").is_some_and(|tokens| tokens != "0"));
    let sent: Vec<_> = bench
        .requests()
        .iter()
        .map(|line| line.path.clone().unwrap())
        .collect();
    assert_eq!(sent.len(), 3);

    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let exemplar = format!("# {{trace_id=\"{trace}\"}}");
    for histogram in [
        "ark_worker_queue_wait_seconds",
        "ark_model_call_seconds",
        "ark_model_first_token_seconds",
        "ark_tool_call_seconds",
    ] {
        let of = |line: &&str| line.starts_with(&format!("{histogram}_bucket"));
        assert!(
            text.lines().filter(of).any(|line| line.contains(&exemplar)),
            "{histogram}"
        );
    }
}
