//! Logs, always to standard error, and traces, where an OTLP endpoint is named.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The variables of OpenTelemetry that name an endpoint; without one of them nothing is traced and nothing is paid.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// How this process logs. Traces go to OTEL_EXPORTER_OTLP_ENDPOINT if that is set.
#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// What is logged: a level, or directives such as `info,ark_worker=debug` [default: info; ark run: warn]
    #[arg(long, global = true, env = "ARK_LOG", value_name = "FILTER")]
    log_filter: Option<String>,
    /// The form of log lines
    #[arg(
        long,
        global = true,
        env = "ARK_LOG_FORMAT",
        default_value = "text",
        value_name = "FORM"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Keeps traces flowing; dropped, it sends what is left.
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Logging {
    /// Starts logging and tracing; `usual` is logged where nothing else is asked for, `service` names the process.
    pub(crate) fn start(&self, usual: &str, service: &'static str) -> Telemetry {
        let asked = self.log_filter.as_deref().unwrap_or(usual);
        let filter = EnvFilter::try_new(asked).unwrap_or_else(|error| {
            eprintln!("ark: --log-filter {asked:?} cannot be read ({error}); {usual} is used");
            EnvFilter::new(usual)
        });
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        let lines = match self.log_format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        let traces = tracer_provider(service);
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("ark"))
                .with_filter(EnvFilter::new(
                    "warn,ark=info,ark_apiserver=info,ark_dispatcher=info,ark_worker=info",
                ))
        });
        if let Some(traces) = &traces {
            // For spans that began before this process knew of them.
            opentelemetry::global::set_tracer_provider(traces.clone());
        }
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(spans)
            .init();
        Telemetry { traces }
    }
}

fn tracer_provider(service: &'static str) -> Option<SdkTracerProvider> {
    if !ENDPOINTS
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        return None;
    }
    match SpanExporter::builder().with_http().build() {
        Ok(exporter) => {
            // OTEL_SERVICE_NAME wins, as everywhere.
            let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| service.to_owned());
            let resource = Resource::builder().with_service_name(name).build();
            Some(
                SdkTracerProvider::builder()
                    .with_batch_exporter(exporter)
                    .with_resource(resource)
                    .build(),
            )
        }
        Err(error) => {
            eprintln!("ark: traces cannot be exported ({error}); going on without");
            None
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(error) = traces.shutdown()
        {
            eprintln!("ark: the last traces were not sent: {error}");
        }
    }
}
