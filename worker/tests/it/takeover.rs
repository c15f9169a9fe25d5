//! A worker that stands still beyond its lease: others take over, and it can do nothing any more.

use std::sync::mpsc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, content, until};

const MINUTE: Duration = Duration::from_secs(60);

/// A worker on a runtime of its own, which can be stopped in its tracks as by SIGSTOP.
struct Freezable {
    freeze: tokio::sync::mpsc::UnboundedSender<mpsc::Receiver<()>>,
    shutdown: CancellationToken,
    thread: std::thread::JoinHandle<()>,
}

impl Freezable {
    async fn start(bench: &Bench) -> Self {
        let (freeze, mut orders) = tokio::sync::mpsc::unbounded_channel::<mpsc::Receiver<()>>();
        let shutdown = CancellationToken::new();
        let (config, kubernetes, url) =
            (bench.config(4), bench.kubernetes.clone(), bench.url.clone());
        let until = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                tokio::spawn(async move {
                    while let Some(thaw) = orders.recv().await {
                        // Blocks the only thread of this runtime.
                        thaw.recv().ok();
                    }
                });
                let store = ark_store::Store::connect(&url, ark_store::ConnectOptions::default())
                    .await
                    .unwrap();
                ark_worker::run(config, kubernetes.client(), store, until)
                    .await
                    .unwrap();
            });
        });
        Self {
            freeze,
            shutdown,
            thread,
        }
    }

    /// Stands still until the sender is dropped.
    fn freeze(&self) -> mpsc::Sender<()> {
        let (thaw, frozen) = mpsc::channel();
        self.freeze.send(frozen).unwrap();
        thaw
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::task::spawn_blocking(|| self.thread.join().unwrap())
            .await
            .unwrap();
    }
}

fn count(bench: &Bench, path: &str) -> usize {
    bench
        .requests()
        .iter()
        .filter(|line| line.path.as_deref() == Some(path))
        .count()
}

#[tokio::test]
async fn committed_turns_are_not_repeated_and_the_late_worker_writes_nothing() {
    let bench = Bench::new(Duration::from_millis(800)).await;
    let frozen = Freezable::start(&bench).await;
    let text = "turns=3 travel";
    bench
        .ask(
            "q",
            bench.agent(vec![bench.tool("GET", "weather")]),
            text,
            MINUTE,
        )
        .await;
    until(async || count(&bench, "tool") == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let thaw = frozen.freeze();
    let other = bench.worker(4);
    let status = bench.kubernetes.ended("q").await;
    assert_eq!(content(&status), bench.expected(text), "{status}");
    assert_eq!((count(&bench, "turn.1"), count(&bench, "turn.3")), (1, 1));
    assert!(
        count(&bench, "turn.2") <= 2,
        "only what was in flight is repeated"
    );
    drop(thaw);
    // The late worker finds itself dead, goes on as a fresh incarnation and is of use again.
    other.stop().await;
    bench
        .ask("later", bench.agent(Vec::new()), "later", MINUTE)
        .await;
    assert_eq!(
        content(&bench.kubernetes.ended("later").await),
        bench.expected("later")
    );
    frozen.stop().await;
    assert_eq!(bench.kubernetes.status("q"), status, "written once");
    assert_eq!(
        bench
            .kubernetes
            .phases("q")
            .iter()
            .filter(|phase| *phase == "done")
            .count(),
        1
    );
    assert_eq!(
        (count(&bench, "turn.1"), count(&bench, "turn.3")),
        (2, 1),
        "turn.1 of the second query included"
    );
}

#[tokio::test]
async fn a_tool_that_must_not_run_twice_does_not() {
    let bench = Bench::new(Duration::ZERO).await;
    let frozen = Freezable::start(&bench).await;
    bench
        .ask(
            "q",
            bench.agent(vec![bench.tool("POST", "slow?ms=20000")]),
            "turns=2 pay",
            MINUTE,
        )
        .await;
    until(async || count(&bench, "turn.1") == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let thaw = frozen.freeze();
    let other = bench.worker(4);
    let status = bench.kubernetes.ended("q").await;
    assert_eq!(status["phase"], "error");
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("UnsafeRepeat: "), "{status}");
    drop(thaw);
    other.stop().await;
    frozen.stop().await;
    assert!(count(&bench, "tool") <= 1);
}
