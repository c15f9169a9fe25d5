//! One trace per Query, from the write of the API to the write of the status, through processes and the queue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::system::{PATIENCE, System};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/TRACES.md");

/// Spans as a collector receives them, with the name of the service.
type Received = Arc<Mutex<Vec<(String, Span)>>>;

async fn collector() -> (String, Received) {
    let received = Received::default();
    let app = Router::new()
        .route("/v1/traces", post(receive))
        .with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, received)
}

async fn receive(State(received): State<Received>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        let service = text(attributes, "service.name").unwrap();
        let spans = resource.scope_spans.into_iter().flat_map(|s| s.spans);
        let spans = spans.map(|span| (service.clone(), span));
        received.lock().unwrap().extend(spans);
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// The trace as lines, children below their parents in the order in which they began.
fn tree(spans: &[(String, Span)]) -> String {
    let known = |id: &[u8]| spans.iter().any(|(_, span)| span.span_id == id);
    let mut roots: Vec<_> = spans
        .iter()
        .filter(|(_, span)| !known(&span.parent_span_id))
        .collect();
    roots.sort_by_key(|(_, span)| span.start_time_unix_nano);
    let mut lines = String::new();
    for root in roots {
        branch(spans, root, 0, &mut lines);
    }
    lines
}

fn branch(spans: &[(String, Span)], node: &(String, Span), depth: usize, lines: &mut String) {
    let (service, span) = node;
    // Whoever comes first writes it: the worker that ended the run, another one, or the dispatcher's caretaker.
    let service = if span.name == "report" {
        "any of them"
    } else {
        service
    };
    let name = format!("{:indent$}{}", "", span.name, indent = 2 * depth);
    lines.push_str(format!("{name:<44}{service}").trim_end());
    lines.push('\n');
    let mut children: Vec<_> = spans
        .iter()
        .filter(|(_, child)| child.parent_span_id == span.span_id)
        .collect();
    children.sort_by_key(|(_, child)| child.start_time_unix_nano);
    for child in children {
        branch(spans, child, depth + 1, lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_one_trace_as_the_page_shows_it() {
    let (url, received) = collector().await;
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    let system = System::start_with(Duration::from_millis(50), 1, environment).await;
    let uid = system.ask("traced", "please think turns=3").await;
    system.ended(std::slice::from_ref(&uid), 1).await;
    let id = uid.replace('-', "");
    let of_query = || -> Vec<(String, Span)> {
        let received = received.lock().unwrap();
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let ours = received.iter().filter(|(_, s)| hex(&s.trace_id) == id);
        ours.cloned().collect()
    };
    let page = std::fs::read_to_string(PAGE).unwrap();
    let shown = page.split("```text\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    let arrived = tokio::time::timeout(PATIENCE / 4, async {
        while tree(&of_query()) != shown {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    if arrived.await.is_err() {
        assert_eq!(tree(&of_query()), shown);
    }
    let chat = of_query()
        .into_iter()
        .find(|(_, s)| s.name == "chat gpt-test");
    let attributes = chat.unwrap().1.attributes;
    let attribute = |key: &str| text(&attributes, key).unwrap();
    assert_eq!(attribute("gen_ai.operation.name"), "chat");
    assert_eq!(attribute("gen_ai.request.model"), "gpt-test");
    assert!(
        attribute("gen_ai.usage.input_tokens")
            .parse::<u64>()
            .unwrap()
            > 0
    );
}
