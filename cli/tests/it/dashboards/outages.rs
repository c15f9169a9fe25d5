//! What a running system exports, and how dashboards and alerts show the loss of its database and of its workers.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::names::{check_names, check_page, check_panels};
use super::roles::{Roles, firing};
use super::scrape::window;
use crate::system::{PATIENCE, System, query};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_exported_and_outages_show() {
    let mut system = System::start(Duration::ZERO, 1).await;
    let mut roles = Roles::find(&system);
    lose_the_database(&mut system, &roles).await;
    let uids = one_of_each(&system).await;
    system.ended(&uids, uids.len()).await;
    let before = roles.scrape().await;

    let healthy = system.ask_many(20, "healthy", "turns=2").await;
    let uids: Vec<String> = healthy.keys().cloned().collect();
    system.ended(&uids, uids.len()).await;
    let end = roles.scrape().await;
    let calm = window(&before, &end);
    assert_eq!(firing(&calm), [""; 0]);
    check_names(&end);
    check_panels(&calm);
    check_page(&end);
    lose_the_workers(&mut system, &mut roles).await;
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
