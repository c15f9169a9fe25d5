//! A running system in trouble, as dashboards and alerts show it.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::names::{check_names, check_page, check_panels};
use super::scrape::{Scrape, Window, window};
use super::{alerts, panels};
use crate::system::{PATIENCE, System, query};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_exported_and_incidents_show() {
    let mut system = System::start(Duration::ZERO, 1).await;
    let mut roles = Roles::find(&system);
    lose_the_database(&mut system, &roles).await;
    let uids = one_of_each(&system).await;
    system.ended(&uids, uids.len()).await;
    let before = roles.scrape().await;

    let healthy = system.ask_many(20, "healthy", "turns=2").await;
    let uids: Vec<String> = healthy.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
    let calm = roles.scrape().await;
    assert_eq!(firing(&window(&before, &calm)), [""; 0]);

    fault(&system, 503, 60).await;
    let hit = system.ask_many(30, "hit", "").await;
    faults_are_used_up(&system).await;
    let brown = roles.scrape().await;
    let brown_out = window(&calm, &brown);
    assert_eq!(firing(&brown_out), ["ArkModelCallsFailing"]);
    let failed = panels()
        .into_iter()
        .find(|panel| panel.place == "providers.json: Failed calls")
        .unwrap();
    let share = failed.promql.value(&brown_out)[0].1;
    assert!(share > 0.5, "the dashboard shows {share} failed");

    let uids: Vec<String> = hit.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
    system.assert_answered(&hit);
    let end = roles.scrape().await;
    check_names(&end);
    check_panels(&window(&before, &end));
    check_page(&end);
    lose_the_workers(&mut system, &mut roles).await;
}

/// Where the processes show their metrics.
struct Roles(Vec<(&'static str, String)>);

impl Roles {
    /// Each process logs its address.
    fn find(system: &System) -> Roles {
        let mut found = Vec::new();
        for role in ["apiserver", "dispatcher", "worker-1"] {
            let log = system.folder.path().join(format!("{role}.log"));
            let log = std::fs::read_to_string(log).unwrap();
            let (_, rest) = log.split_once("metrics and health at http://").unwrap();
            found.push((role, rest.split_whitespace().next().unwrap().to_owned()));
        }
        Roles(found)
    }

    async fn scrape(&self) -> Scrape {
        let mut scrape = Scrape::default();
        for (role, address) in &self.0 {
            let url = format!("http://{address}/metrics");
            let text = reqwest::get(url).await.unwrap().text().await.unwrap();
            scrape.read(role, address, &text);
        }
        scrape
    }

    /// Scrapes until the alert's condition holds between two scrapes; returns all alerts that fire then.
    async fn until(&self, alert: &str) -> Vec<String> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let from = self.scrape().await;
                tokio::time::sleep(Duration::from_secs(3)).await;
                let firing = firing(&window(&from, &self.scrape().await));
                if firing.iter().any(|name| name == alert) {
                    return firing;
                }
            }
        });
        waited
            .await
            .unwrap_or_else(|_| panic!("{alert} never fires"))
    }
}

/// Stops Postgres until its alert fires, and starts it again.
async fn lose_the_database(system: &mut System, roles: &Roles) {
    system.postgres.take().unwrap().stop().await.unwrap();
    roles.until("ArkDatabaseUnavailable").await;
    let (postgres, _) = crate::system::database(system.folder.path()).await;
    system.postgres = Some(postgres);
}

/// Kills the only worker and asks on, until the alert fires; then another worker answers.
async fn lose_the_workers(system: &mut System, roles: &mut Roles) {
    system.workers[0].kill().await;
    roles.0.retain(|(role, _)| *role != "worker-1");
    let waiting = system.ask_many(5, "waiting", "").await;
    assert_eq!(roles.until("ArkQueueStalled").await, ["ArkQueueStalled"]);
    system.start_worker().await;
    let uids: Vec<String> = waiting.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
}

/// Queries that end in each way, so that every metric has been touched.
async fn one_of_each(system: &System) -> Vec<String> {
    tokio::time::timeout(PATIENCE, async {
        // The API server may still be without its database.
        while system.queries().list(&Default::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the API comes back");
    let mut uids = vec![
        system.ask("hangs", "fault=hang").await,
        system.ask("answered", "turns=3").await,
        system.ask("again", "fault=503*1").await,
        system.ask("broke", "fault=quota").await,
    ];
    let orphan = json!({"prompt": "", "modelRef": {"name": "missing"}});
    let metadata = json!({"name": "orphan", "namespace": "default"});
    let version = "ark.mckinsey.com/v1alpha1";
    let agent =
        json!({"apiVersion": version, "kind": "Agent", "metadata": metadata, "spec": orphan});
    system.create(agent).await;
    let mut unplannable = query("unplannable", "hi");
    unplannable["spec"]["target"]["name"] = json!("orphan");
    uids.push(system.create(unplannable).await.metadata.uid.unwrap());
    system.until_in_flight(1).await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": true}}));
    let params = PatchParams::default();
    system
        .queries()
        .patch("hangs", &params, &cancel)
        .await
        .unwrap();
    uids
}

async fn fault(system: &System, status: u16, count: u64) {
    let url = format!("http://{}/admin/faults", system.provider.addr);
    let body = json!({"status": status, "count": count});
    let set = reqwest::Client::new().post(url).json(&body).send().await;
    assert!(set.unwrap().status().is_success());
}

async fn faults_are_used_up(system: &System) {
    let url = format!("http://{}/admin/faults", system.provider.addr);
    tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = reqwest::get(&url).await.unwrap().text().await.unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            if answer["pending"] == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the calls are made");
}

/// The alerts whose condition holds; not those on the speed of the machine that this test happens to run on.
fn firing(window: &Window<'_>) -> Vec<String> {
    let alerts = alerts().into_iter();
    alerts
        .filter(|alert| !alert.place.ends_with("Slow"))
        .filter(|alert| !alert.promql.value(window).is_empty())
        .map(|alert| alert.place)
        .collect()
}
