//! Every fault of every provider: its class, whether the call is made again and when, and that no step is lost or made
//! twice.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ark_loadtest::provider::{Line, Status};
use ark_plan::{AgentPlan, Source, Target};
use ark_worker::{Config, Timeouts};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::bench::{Bench, content};

const PROVIDERS: [&str; 3] = ["openai", "azure", "anthropic"];

/// What happens to the second of two turns.
struct Case {
    /// Words of the fake provider.
    fault: &'static str,
    words: &'static str,
    /// What the provider's log says of the request: a status, or 0 where the worker gave up.
    status: u16,
    /// The failed attempt's class at OpenAI and Azure, and at Anthropic; none where nothing failed.
    classes: Option<[&'static str; 2]>,
    ending: Ending,
}

enum Ending {
    /// The call is made again, no sooner than after these milliseconds, and answers.
    Again(i64),
    /// The Query ends with the class.
    Error,
    /// The Query ends as if nothing had happened.
    Answered,
}

use Ending::{Again, Answered, Error};

const fn case(
    fault: &'static str,
    words: &'static str,
    status: u16,
    class: &'static str,
    ending: Ending,
) -> Case {
    Case {
        fault,
        words,
        status,
        classes: Some([class; 2]),
        ending,
    }
}

fn cases() -> Vec<Case> {
    vec![
        case("429", "retry-after=1", 429, "Capacity", Again(1000)),
        case(
            "429",
            "retry-after=1 retry-form=date",
            429,
            "Capacity",
            Again(1000),
        ),
        case("429", "retry-after-ms=700", 429, "Capacity", Again(700)),
        case(
            "429",
            "retry-after-ms=800 retry-form=openai",
            429,
            "Capacity",
            Again(800),
        ),
        case(
            "429",
            "retry-after=1 retry-form=anthropic",
            429,
            "Capacity",
            Again(900),
        ),
        case("429", "retry-form=none", 429, "Capacity", Again(200)),
        case("500", "", 500, "Ambiguous", Again(200)),
        case("502", "", 502, "Ambiguous", Again(200)),
        case("503", "", 503, "Capacity", Again(200)),
        case("503", "retry-after=1", 503, "Capacity", Again(1000)),
        case("529", "retry-after-ms=600", 529, "Capacity", Again(600)),
        case("hang", "", 0, "Unresponsive", Again(200)),
        case("hang-body", "", 0, "Unresponsive", Again(200)),
        case("stall", "", 0, "Unresponsive", Again(200)),
        case("cut", "", 200, "Ambiguous", Again(200)),
        case("garbage", "", 200, "BadReply", Again(200)),
        Case {
            classes: Some(["Ambiguous", "Capacity"]),
            ..case("error", "", 200, "", Again(200))
        },
        Case {
            classes: None,
            ..case("no-usage", "", 200, "", Answered)
        },
        case("quota", "", 429, "Quota", Error),
        case("400", "", 400, "Rejected", Error),
        case("401", "", 401, "Rejected", Error),
        case("402", "", 402, "Quota", Error),
        case("404", "", 404, "Rejected", Error),
        case("413", "", 413, "Rejected", Error),
    ]
}

#[tokio::test]
async fn every_fault_has_its_class_and_no_step_is_lost() {
    let bench = Bench::new(Duration::ZERO).await;
    let classes = Classes::default();
    let subscriber = tracing_subscriber::registry().with(classes.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let config = bench.config(100);
    let worker = bench.worker_with(Config {
        timeouts: Timeouts {
            // Long enough for an honest answer on a busy machine.
            first_token: Duration::from_secs(6),
            idle: Duration::from_secs(5),
            ..config.timeouts
        },
        ..config
    });
    let mut asked = Vec::new();
    for (of_provider, provider) in PROVIDERS.into_iter().enumerate() {
        for (number, case) in cases().into_iter().enumerate() {
            let name = format!("{provider}-{number}");
            let text = format!("{name} turns=2 fault={}@2*1 {}", case.fault, case.words);
            let agent = agent_at(&bench, provider);
            let uid = bench
                .ask(&name, Target::Agent(agent), &text, Duration::from_secs(60))
                .await;
            asked.push((name, uid, text, case, of_provider == 2));
        }
    }
    let mut endings = Vec::new();
    for (name, ..) in &asked {
        endings.push(bench.kubernetes.ended(name).await);
    }
    worker.stop().await;

    let requests = bench.requests();
    let mut wrong = Vec::new();
    for ((name, uid, text, case, at_anthropic), ending) in asked.iter().zip(endings) {
        let execution = format!("{uid}/0");
        let of_path = |path: &str| -> Vec<&Line> {
            let ours = |line: &&Line| {
                line.execution.as_deref() == Some(&execution) && line.path.as_deref() == Some(path)
            };
            requests.iter().filter(ours).collect()
        };
        let class = case
            .classes
            .map(|[usual, anthropic]| if *at_anthropic { anthropic } else { usual });
        let second = of_path("turn.2");
        let found = (
            classes.of(name),
            ending["phase"].as_str().unwrap_or_default().to_owned(),
            of_path("turn.1").len(),
            of_path("tool").len(),
            second.len(),
        );
        let again = matches!(case.ending, Again(_));
        let phase = if matches!(case.ending, Error) {
            "error"
        } else {
            "done"
        };
        let expected = (
            class.map(str::to_owned),
            phase.to_owned(),
            1,
            1,
            1 + usize::from(again),
        );
        if found != expected {
            wrong.push(format!(
                "{name} {}: {found:?} and not {expected:?}: {ending}",
                case.fault
            ));
            continue;
        }
        let status = match (case.fault, second[0].status) {
            // The bill of Anthropic comes with another status than that of OpenAI.
            ("quota", _) => case.status,
            (_, Status::Code(code)) => code,
            (_, Status::Aborted) => 0,
        };
        assert_eq!(status, case.status, "{name} {}", case.fault);
        if let Again(least) = case.ending {
            let pause = (second[1].start - second[0].end).num_milliseconds();
            assert!(pause >= least, "{name} {}: {pause} ms", case.fault);
        }
        if let Error = case.ending {
            let message = ending["conditions"][0]["message"]
                .as_str()
                .unwrap_or_default();
            assert!(
                message.starts_with(class.unwrap_or_default()),
                "{name}: {message}"
            );
        } else {
            assert_eq!(
                content(&ending),
                bench.expected(text),
                "{name} {}",
                case.fault
            );
        }
        let tokens = ending["tokenUsage"]["totalTokens"].as_i64();
        assert!(tokens > Some(0), "{name}: what the first turn cost is told");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_provider_that_is_not_there_or_hangs_up_is_asked_again() {
    let bench = Bench::new(Duration::ZERO).await;
    let classes = Classes::default();
    let subscriber = tracing_subscriber::registry().with(classes.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Nobody listens there, and nobody is given it who asks for any port.
    let gone = SocketAddr::from(([127, 0, 0, 1], 1));
    let addresses = [hangs_up.local_addr().unwrap(), gone];
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while hangs_up.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let worker = bench.worker(4);
    let names = ["hangs-up", "gone"];
    // How the end of a connection looks depends on whether the request was read before.
    let causes = [
        ["the connection broke", "connection reset"],
        ["connection refused; check baseUrl"; 2],
    ];
    let mut said = Vec::new();
    for (name, address) in names.into_iter().zip(&addresses) {
        let mut model = bench.model();
        model.base_url = Source::Literal(format!("http://{address}/v1"));
        let timeout = Duration::from_secs(4);
        bench
            .ask(name, Target::Model(model), "hello", timeout)
            .await;
    }
    for name in names {
        let status = bench.kubernetes.ended(name).await;
        assert_eq!(status["phase"], "error", "{name}: {status}");
        assert_eq!(classes.of(name).as_deref(), Some("Transport"), "{name}");
        said.push(status["conditions"][0]["message"].to_string());
    }
    worker.stop().await;
    for ((address, said), causes) in addresses.iter().zip(said).zip(causes) {
        let model = format!("Transport: Model default/m at http://{address}: ");
        let is_told = causes
            .iter()
            .any(|cause| said.contains(&format!("{model}{cause}")));
        assert!(is_told, "{said}");
    }
    assert!(connections.load(Ordering::Relaxed) > 1);
}

fn agent_at(bench: &Bench, provider: &str) -> AgentPlan {
    bench.agent_plan(bench.model_at(provider), vec![bench.tool("GET", "weather")])
}

/// The classes of failed attempts by the names of their Queries, as the worker's log tells them.
#[derive(Clone, Default)]
struct Classes(Arc<Mutex<HashMap<String, String>>>);

impl Classes {
    fn of(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap().get(name).cloned()
    }
}

impl<S: Subscriber> Layer<S> for Classes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(name), Some(class)) = (fields.0.remove("name"), fields.0.remove("class")) {
            self.0.lock().unwrap().insert(name, class);
        }
    }
}

#[derive(Default)]
struct Fields(HashMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
