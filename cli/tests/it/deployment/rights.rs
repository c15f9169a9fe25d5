//! The roles with no more rights than the charts give.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::proxy::Proxy;
use super::{Deployment, charts, set_latency};
use crate::system::{PATIENCE, System, model, query};

/// Queries that make the roles use their rights: a target chosen by labels, a Model with an address from a ConfigMap, a
/// service account, a ttl that passes, a cancel.
async fn ask_of_each_kind(system: &System) {
    let meta = |name: &str| json!({"name": name, "namespace": "default"});
    let mut by_address = model(Some("openai"));
    by_address["metadata"] = meta("addressed");
    by_address["spec"]["config"]["openai"]["baseUrl"] =
        json!({"valueFrom": {"configMapKeyRef": {"name": "addresses", "key": "models"}}});
    let addresses = json!({"models": "https://models.example.com/v1"});
    let agent = json!({"prompt": "be brief", "modelRef": {"name": "addressed"}});
    let labelled = json!({"name": "b", "namespace": "default", "labels": {"team": "red"}});
    let version = "ark.mckinsey.com/v1alpha1";
    for object in [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("addresses"), "data": addresses}),
        by_address,
        json!({"apiVersion": version, "kind": "Agent", "metadata": labelled, "spec": agent}),
    ] {
        system.create(object).await;
    }
    let mut chosen = query("chosen", "hello");
    chosen["spec"] = json!({"input": "hello", "selector": {"matchLabels": {"team": "red"}}});
    let mut accounted = query("accounted", "hello");
    accounted["spec"]["serviceAccount"] = json!("default");
    let mut brief = query("brief", "bye");
    brief["spec"]["ttl"] = json!("1s");
    for object in [chosen, accounted, brief, query("hangs", "fault=hang")] {
        system.create(object).await;
    }
    system.until_in_flight(1).await;
    let cancel = Patch::Merge(json!({"spec": {"cancel": true}}));
    let params = PatchParams::default();
    system
        .queries()
        .patch("hangs", &params, &cancel)
        .await
        .unwrap();
}

async fn until_gone(system: &System, name: &str) {
    tokio::time::timeout(PATIENCE, async {
        while system.queries().get_opt(name).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{name} is not deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_need_the_rights_that_the_charts_give_and_no_others() {
    let mut system = System::start(Duration::from_millis(20), 0).await;
    let Some(objects) = charts(&system, 10).await else {
        return;
    };
    system.dispatcher.kill().await;
    let mut dispatchers = Deployment::of(&system, &objects, "ark-controller");
    let mut workers = Deployment::of(&system, &objects, "ark-worker");
    let (controller, kubeconfig) = Proxy::start(&system, &objects, "ark-controller").await;
    dispatchers.kubeconfig = kubeconfig;
    let (worker, kubeconfig) = Proxy::start(&system, &objects, "ark-worker").await;
    workers.kubeconfig = kubeconfig;
    dispatchers.scale(&system, 1).await;
    // Nothing has this label: each kind is listed, and the dispatcher, still alone, reports it.
    let mut nobody = query("nobody", "hello");
    nobody["spec"] = json!({"input": "hello", "selector": {"matchLabels": {"team": "green"}}});
    let nobody = system.create(nobody).await.metadata.uid.unwrap();
    system.ended(&[nobody], 1).await;
    workers.scale(&system, 1).await;

    let answered = system.ask_many(5, "plain", "turns=2").await;
    ask_of_each_kind(&system).await;
    let uids: Vec<String> = answered.keys().cloned().collect();
    system.ended(&uids, 5).await;
    system.assert_answered(&answered);
    until_gone(&system, "brief").await;
    let delete = DeleteParams::default();
    system
        .queries()
        .delete("plain-0000", &delete)
        .await
        .unwrap();
    // Still running when the dispatcher has gone, this one is the worker's to report.
    set_latency(&system, 3000).await;
    let last = system.ask("last", "hello").await;
    system.until_in_flight(1).await;
    dispatchers.scale(&system, 0).await;
    system.ended(&[last], 1).await;
    workers.scale(&system, 0).await;
    controller.assert_exact(&[
        // After a conflict only.
        ("get", "queries"),
        // Of kinds of targets and values that are not asked for here.
        ("get", "arkconfigs"),
        ("get", "services"),
        ("get", "teams"),
    ]);
    // With the fake provider no key is read.
    worker.assert_exact(&[("get", "queries"), ("get", "secrets")]);
}
