//! Workers die, stop and wake up, Postgres goes away: nothing is lost, nothing ends twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::system::{PATIENCE, System};

fn uids(inputs: &HashMap<String, String>) -> Vec<String> {
    inputs.keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_loses_nothing() {
    let mut system = System::start(Duration::from_secs(1), 1).await;
    let inputs = system.ask_many(30, "kill", "turns=3").await;
    let uids = uids(&inputs);
    let in_flight = system.until_in_flight(20).await;
    system.workers[0].kill().await;
    system.start_worker().await;
    system.ended(&uids, 30).await;
    system.assert_answered(&inputs);
    let repeated = system.repeated_calls();
    assert!(
        repeated <= in_flight.max(30),
        "{repeated} calls were repeated, {in_flight} were in flight"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_that_wakes_up_writes_nothing() {
    let mut system = System::start(Duration::from_secs(1), 1).await;
    let inputs = system.ask_many(20, "stop", "turns=2").await;
    let uids = uids(&inputs);
    system.until_in_flight(10).await;
    system.workers[0].signal(Signal::SIGSTOP);
    system.start_worker().await;
    system.ended(&uids, 20).await;
    system.workers[0].signal(Signal::SIGCONT);
    // Awake again, it finds itself dead and goes on as a fresh incarnation: it takes part in new work.
    system.workers[1].signal(Signal::SIGTERM);
    system.workers[1].wait().await;
    let more = system.ask_many(5, "after", "").await;
    system
        .ended(&more.keys().cloned().collect::<Vec<_>>(), 5)
        .await;
    system.assert_answered(&inputs);
    system.assert_answered(&more);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_queries_survive_two_lost_workers() {
    let mut system = System::start(Duration::from_secs(1), 2).await;
    let inputs = system.ask_many(500, "crowd", "turns=3").await;
    let uids = uids(&inputs);
    let at_kill = system.until_in_flight(50).await;
    system.workers[0].kill().await;
    let at_stop = system.in_flight().await;
    system.workers[1].signal(Signal::SIGSTOP);
    system.start_worker().await;
    system.start_worker().await;
    system.ended(&uids, 400).await;
    system.workers[1].signal(Signal::SIGCONT);
    system.ended(&uids, 500).await;
    system.assert_answered(&inputs);
    let repeated = system.repeated_calls();
    // What two workers of 100 slots had in flight when they were lost.
    assert!(
        repeated <= 200,
        "{repeated} repeated; in flight {at_kill} at the kill, {at_stop} at the stop"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_postgres_kills_nobody() {
    let system = System::start(Duration::from_millis(200), 2).await;
    let before = system.ask_many(40, "before", "turns=2").await;
    system.until_in_flight(10).await;
    let postmaster = Pid::from_raw(system.postgres.as_ref().unwrap().pid());
    let children = descendants(postmaster);
    for process in &children {
        kill(*process, Signal::SIGSTOP).unwrap();
    }
    // A promise about time: nobody may be declared dead by a pause of 30 s.
    tokio::time::sleep(Duration::from_secs(30)).await;
    for process in &children {
        kill(*process, Signal::SIGCONT).ok();
    }
    let after = system.ask_many(10, "after", "").await;
    let all: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    system.ended(&all, 50).await;
    system.assert_answered(&before);
    system.assert_answered(&after);
    assert_eq!(system.repeated_calls(), 0, "a worker was taken for dead");
}

/// The process and all that it started.
fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
            .unwrap_or_default();
        found.extend(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .map(Pid::from_raw),
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgres_loses_nothing() {
    let mut system = System::start(Duration::from_millis(300), 2).await;
    let before = system.ask_many(40, "before", "turns=3").await;
    system.until_in_flight(10).await;
    let postmaster = Pid::from_raw(system.postgres.as_ref().unwrap().pid());
    kill(postmaster, Signal::SIGQUIT).unwrap();
    system.postgres.take().unwrap().stop().await.ok();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (postgres, _) = crate::system::database(system.folder.path()).await;
    system.postgres = Some(postgres);
    system
        .ended(&before.keys().cloned().collect::<Vec<_>>(), 40)
        .await;
    system.assert_answered(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_the_call_and_ends_in_canceled() {
    let mut system = System::start(Duration::ZERO, 1).await;
    let running = system.ask("running", "please fault=hang").await;
    system.until_in_flight(1).await;
    let cancel = json!({"spec": {"cancel": true}});
    let asked = Instant::now();
    system
        .queries()
        .patch("running", &PatchParams::default(), &Patch::Merge(&cancel))
        .await
        .unwrap();
    while system.in_flight().await > 0 {
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "the call was not stopped within a second, nor within five"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    system.ended(std::slice::from_ref(&running), 1).await;
    assert_eq!(system.status(&running)["phase"], "canceled");

    // With no worker alive, and for one that a dead worker had.
    let orphan = system.ask("orphan", "please fault=hang").await;
    system.until_in_flight(1).await;
    system.workers[0].kill().await;
    let waiting = system.ask("waiting", "hello").await;
    for name in ["orphan", "waiting"] {
        system
            .queries()
            .patch(name, &PatchParams::default(), &Patch::Merge(&cancel))
            .await
            .unwrap();
    }
    system.ended(&[orphan.clone(), waiting.clone()], 2).await;
    assert_eq!(system.status(&orphan)["phase"], "canceled");
    assert_eq!(system.status(&waiting)["phase"], "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_race_with_claims() {
    let system = System::start(Duration::from_millis(100), 2).await;
    let asks = (0..60).map(|n| {
        let system = &system;
        async move {
            let name = format!("race-{n:02}");
            let uid = system.ask(&name, &format!("race {n} turns=3")).await;
            tokio::time::sleep(Duration::from_millis(n % 20)).await;
            let cancel = json!({"spec": {"cancel": true}});
            system
                .queries()
                .patch(&name, &PatchParams::default(), &Patch::Merge(&cancel))
                .await
                .unwrap();
            uid
        }
    });
    let uids = futures::future::join_all(asks).await;
    system.ended(&uids, 60).await;
    for uid in &uids {
        assert_eq!(system.status(uid)["phase"], "canceled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_recreated_under_its_name_gets_its_own_answer() {
    let system = System::start(Duration::from_millis(50), 2).await;
    let load = system.ask_many(100, "load", "turns=2").await;
    let queries = system.queries();
    let mut last = String::new();
    for round in 0..15 {
        last = system.ask("again", &format!("round {round}")).await;
        if round % 3 == 0 {
            system.ended(std::slice::from_ref(&last), 1).await;
        }
        if round < 14 {
            queries
                .delete("again", &DeleteParams::default())
                .await
                .unwrap();
            let gone = await_condition(queries.clone(), "again", conditions::is_deleted(&last));
            tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
        }
    }
    system.ended(std::slice::from_ref(&last), 1).await;
    system.assert_answered(&HashMap::from([(last, "round 14".to_owned())]));
    system.ended(&uids(&load), 100).await;
    system.assert_answered(&load);
}
