//! Workers come and go under load.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::system::System;

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
