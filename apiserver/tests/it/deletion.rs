//! Deletion: finalizers, preconditions, namespaces.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Api, CONFIG_MAPS, MERGE, QUERIES, config_map, query, start, version};

async fn server_with_finalizer() -> Api {
    let api = start().await;
    api.create_model().await;
    let mut object = query("held");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.create(QUERIES, object).await;
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn without_finalizers_it_is_gone() {
    let api = start().await;
    let created = api.create_config_map("c", json!({})).await;
    let (code, status) = api.delete(&format!("{CONFIG_MAPS}/c")).await;
    assert_eq!(code, 200);
    let details = json!({"name": "c", "kind": "configmaps", "uid": created["metadata"]["uid"]});
    assert_eq!(
        (&status["status"], &status["details"]),
        (&json!("Success"), &details)
    );
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/c")).await.0, 404);
    let again = api.create_config_map("c", json!({})).await;
    assert_ne!(again["metadata"]["uid"], created["metadata"]["uid"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finalizers_hold_an_object_until_the_last_is_removed() {
    let api = server_with_finalizer().await;
    let path = format!("{QUERIES}/held");
    let (code, marked) = api.delete(&path).await;
    assert_eq!(code, 200);
    assert_eq!(marked["kind"], "Query");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(
        api.delete(&path).await,
        (200, marked.clone()),
        "a second deletion changes nothing"
    );

    let added = r#"{"metadata":{"finalizers":["example.com/hold","example.com/other"]}}"#;
    let (code, refused) = api.patch(&path, MERGE, added).await;
    assert_eq!(code, 422);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("no new finalizers can be added"),
        "{refused}"
    );
    let (code, revived) = api
        .patch(&path, MERGE, r#"{"metadata":{"deletionTimestamp":null}}"#)
        .await;
    assert_eq!(code, 200);
    assert!(
        revived["metadata"]["deletionTimestamp"].is_string(),
        "deletion cannot be taken back"
    );

    let (code, last) = api
        .patch(&path, MERGE, r#"{"metadata":{"finalizers":null}}"#)
        .await;
    assert_eq!(code, 200);
    assert_eq!(
        version(&last),
        version(&marked),
        "the answer shows the last version that was stored"
    );
    assert_eq!(api.get(&path).await.0, 404);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_must_hold() {
    let api = start().await;
    let created = api.create_config_map("c", json!({})).await;
    let path = format!("{CONFIG_MAPS}/c");
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let delete = async |preconditions| {
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
        api.send(Method::DELETE, &path, Some(options)).await
    };
    let (code, refused) = delete(json!({"uid": "zzz"})).await;
    assert_eq!(code, 409);
    assert_eq!(
        refused["message"],
        format!(
            "Operation cannot be fulfilled on ConfigMap \"c\": the UID in the precondition (zzz) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    assert_eq!(delete(json!({"resourceVersion": "1"})).await.0, 409);
    let right = json!({"uid": uid, "resourceVersion": version(&created)});
    assert_eq!(delete(right).await.0, 200);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_only_when_it_is_empty() {
    let api = start().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    let created = api.create("/api/v1/namespaces", namespace).await;
    assert_eq!(created["status"]["phase"], "Active");
    let inside = CONFIG_MAPS.replace("default", "team");
    for name in ["c1", "c2"] {
        api.create(&inside, config_map(name, json!({}))).await;
    }
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "r",
        "involvedObject": {"kind": "ConfigMap", "name": "c1", "namespace": "team"}});
    api.create("/api/v1/namespaces/team/events", event).await;
    let (code, status) = api.delete("/api/v1/namespaces/team").await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    let message = status["message"].as_str().unwrap();
    assert!(message.ends_with("(2 configmaps)"), "{message}");
    assert_eq!(api.get("/api/v1/namespaces/team").await.1, created);

    for name in ["c1", "c2"] {
        assert_eq!(api.delete(&format!("{inside}/{name}")).await.0, 200);
    }
    let (code, marked) = api.delete("/api/v1/namespaces/team").await;
    assert_eq!(
        (code, &marked["status"]["phase"]),
        (200, &json!("Terminating"))
    );
    let mut gone = false;
    for _ in 0..100 {
        gone = api.get("/api/v1/namespaces/team").await.0 == 404;
        if gone {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(gone, "the namespace is still there");
    let late = api.post(&inside, config_map("late", json!({}))).await;
    assert_eq!(late.0, 404);
    assert_eq!(api.delete("/api/v1/namespaces/default").await.0, 403);
    api.stop().await;
}
