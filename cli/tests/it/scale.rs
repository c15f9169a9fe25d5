//! Workers come and go under load.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::system::{System, ark};

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_under_load() {
    let mut system = System::start(Duration::from_millis(300), 1).await;
    let inputs = system.ask_many(200, "scale", "turns=2").await;
    let uids: Vec<String> = inputs.keys().cloned().collect();
    for _ in 0..3 {
        system.start_worker().await;
    }
    system.ended(&uids, 40).await;
    for worker in &system.workers[..3] {
        worker.signal(Signal::SIGTERM);
    }
    for worker in &mut system.workers[..3] {
        assert!(
            worker.wait().await.success(),
            "a drained worker ends in order"
        );
    }
    system.ended(&uids, 200).await;
    system.assert_answered(&inputs);
    assert_eq!(system.repeated_calls(), 0, "a drain repeats nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_started_is_given_back_at_once() {
    let mut system = System::start(Duration::from_secs(2), 1).await;
    let inputs = system.ask_many(150, "drain", "").await;
    let uids: Vec<String> = inputs.keys().cloned().collect();
    system.until_in_flight(50).await;
    system.start_worker().await;
    let asked = Instant::now();
    system.workers[0].signal(Signal::SIGTERM);
    assert!(system.workers[0].wait().await.success());
    // The calls in flight take two seconds; giving back takes one, with fivefold room.
    assert!(
        asked.elapsed() < Duration::from_secs(2 + 5),
        "the drain took {:?}",
        asked.elapsed()
    );
    system.ended(&uids, 150).await;
    system.assert_answered(&inputs);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_what_waits_and_why() {
    let mut system = System::start(Duration::ZERO, 0).await;
    system.ask("lonely", "hello").await;
    let status = async |system: &System| {
        let output = ark()
            .args(["status", "--output", "json", "--database-url", &system.url])
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let mut before = status(&system).await;
    while before["waiting"].as_array().unwrap().is_empty() {
        before = status(&system).await;
    }
    assert_eq!(before["waiting"][0]["name"], "lonely");
    assert_eq!(
        before["waiting"][0]["reason"],
        "no worker with slots is alive"
    );
    system.start_worker().await;
    let answer = ark()
        .args(["query", "lonely", "--watch", "--database-url", &system.url])
        .arg("--kubeconfig")
        .arg(&system.kubeconfig)
        .output()
        .await
        .unwrap();
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    assert!(
        String::from_utf8(answer.stdout)
            .unwrap()
            .contains("to: hello")
    );
    assert!(
        status(&system).await["waiting"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
