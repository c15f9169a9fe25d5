//! A brown-out of the provider, as dashboards and alerts show it while it lasts, and when it is over.

use std::collections::HashMap;
use std::time::Duration;

use ark_loadtest::provider::{self, Status};
use serde_json::{Value, json};

use super::panels;
use super::roles::{Roles, firing};
use super::scrape::{SECONDS, Scrape, Window, window};
use crate::system::{PATIENCE, System};

#[tokio::test(flavor = "multi_thread")]
async fn a_brown_out_of_the_provider_is_seen_and_so_is_its_end() {
    let system = System::start(Duration::from_millis(20), 1).await;
    let roles = Roles::find(&system);
    // From its first event on, a metric has a rate.
    ask(&system, 1, "first", "fault=429*1").await;
    let start = roles.scrape().await;
    ask(&system, 20, "calm", "turns=2").await;
    let calm = roles.scrape().await;
    assert_healthy(&window(&start, &calm));

    let refused = json!({"status": 429, "share": 0.7, "retry_after": 3});
    admin(&system, "faults", refused).await;
    admin(&system, "latency", json!({"ms": 3000})).await;
    let answered = answers(&system);
    let hit = system.ask_many(60, "hit", "").await;
    let brown = until_some_back_off(&roles, &calm).await;
    let truth = since(&answered, &answers(&system));
    assert_brown_out(&window(&calm, &brown), &truth);

    let faults = format!("http://{}/admin/faults", system.provider.addr);
    let cleared = reqwest::Client::new().delete(faults).send().await.unwrap();
    assert!(cleared.status().is_success());
    admin(&system, "latency", json!({"ms": 20})).await;
    let uids: Vec<String> = hit.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
    system.assert_answered(&hit);
    let over = roles.scrape().await;
    ask(&system, 20, "again", "turns=2").await;
    let end = roles.scrape().await;
    assert_healthy(&window(&over, &end));
}

/// Asks, and waits for the answers.
async fn ask(system: &System, count: usize, prefix: &str, words: &str) {
    let asked = system.ask_many(count, prefix, words).await;
    let uids: Vec<String> = asked.keys().cloned().collect();
    system.ended(&uids, count).await;
}

async fn admin(system: &System, what: &str, body: Value) {
    let url = format!("http://{}/admin/{what}", system.provider.addr);
    let set = reqwest::Client::new().post(url).json(&body).send().await;
    assert!(set.unwrap().status().is_success());
}

/// How many requests the provider has answered with each status.
fn answers(system: &System) -> HashMap<u16, usize> {
    let mut counts = HashMap::new();
    let log = system.folder.path().join("provider.jsonl");
    for line in provider::read_log(&log).unwrap() {
        if let Status::Code(code) = line.status {
            *counts.entry(code).or_default() += 1;
        }
    }
    counts
}

/// Calls that were refused and calls that were answered, in between.
fn since(before: &HashMap<u16, usize>, after: &HashMap<u16, usize>) -> (f64, f64) {
    let more = |code| (after[&code] - before.get(&code).unwrap_or(&0)) as f64;
    (more(429), more(200))
}

/// Scrapes until the dashboard shows runs in back-off; the dispatcher counts them every five seconds.
async fn until_some_back_off(roles: &Roles, calm: &Scrape) -> Scrape {
    tokio::time::timeout(PATIENCE, async {
        loop {
            let scrape = roles.scrape().await;
            let seen = window(calm, &scrape);
            let answered = shown(&seen, "providers.json: Model calls by result", "result=ok");
            if shown(&seen, "providers.json: Runs put off", "in back-off") > 0.0 && answered > 0.0 {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("a brown-out puts runs off")
}

/// What a panel shows; of its series the one with this legend, or with this `label=value`. A panel without data shows 0.
fn shown(window: &Window<'_>, place: &str, series: &str) -> f64 {
    let panel = panels()
        .into_iter()
        .find(|panel| panel.place == place && (series.contains('=') || panel.legend == series))
        .unwrap_or_else(|| panic!("{place} has no {series:?}"));
    let values = panel.promql.value(window);
    let named = values.iter().find(|(labels, _)| {
        series
            .split_once('=')
            .is_none_or(|(label, value)| labels.get(label).is_some_and(|found| found == value))
    });
    named.map_or(0.0, |(_, value)| *value)
}

fn assert_healthy(seen: &Window<'_>) {
    assert_eq!(firing(seen), [""; 0]);
    assert_eq!(shown(seen, "providers.json: Failed calls", ""), 0.0);
    let capacity = shown(
        seen,
        "providers.json: Model calls by result",
        "result=Capacity",
    );
    assert_eq!(capacity, 0.0);
    assert_eq!(shown(seen, "providers.json: Runs put off", "retried"), 0.0);
    for place in [
        "providers.json: Model call duration",
        "latency.json: Model calls",
    ] {
        let slow = shown(seen, place, "95 %");
        assert!(slow > 0.0 && slow < 2.0, "{place} shows {slow} s");
    }
}

/// The panels say what the provider knows: so many refused, so many answered, each of those after 3 s.
fn assert_brown_out(seen: &Window<'_>, (refused, answered): &(f64, f64)) {
    assert_eq!(firing(seen), ["ArkModelCallsFailing"]);
    let failed = shown(seen, "providers.json: Failed calls", "");
    let share = refused / (refused + answered);
    assert!(
        (failed - share).abs() < 0.1,
        "{failed} is shown, {share} were refused"
    );
    let results = "providers.json: Model calls by result";
    let capacity = SECONDS * shown(seen, results, "result=Capacity");
    assert!(
        (capacity - refused).abs() <= 0.2 * refused,
        "{capacity} are shown, {refused} were refused"
    );
    assert!(shown(seen, "providers.json: Runs put off", "retried") > 0.0);
    for place in [
        "providers.json: Model call duration",
        "latency.json: Model calls",
    ] {
        let slow = shown(seen, place, "95 %");
        assert!(slow > 2.0, "{place} shows {slow} s");
    }
    let open = shown(seen, "flow.json: In back-off", "");
    assert!(open > 0.0, "who looks at the flow sees it too");
}
