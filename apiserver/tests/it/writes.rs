//! What becomes of an object that is written.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Api, CONFIG_MAPS, JSON_PATCH, MERGE, QUERIES, answer, config_map, query, start, version,
};

async fn server_with_query() -> (Api, Value) {
    let api = start().await;
    api.create_model().await;
    let created = api.create(QUERIES, query("q1")).await;
    (api, created)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_object_is_complete() {
    let (api, created) = server_with_query().await;
    let metadata = &created["metadata"];
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["namespace"], "default");
    assert!(metadata["uid"].as_str().unwrap().len() == 36);
    assert!(
        metadata["creationTimestamp"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    assert_eq!(created["spec"]["timeout"], "5m0s");
    assert_eq!(created["spec"]["ttl"], "720h0m0s");
    assert!(created.get("status").is_none());
    assert_eq!(api.get(&format!("{QUERIES}/q1")).await, (200, created));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_may_not_set_is_set_by_the_server() {
    let (api, _) = server_with_query().await;
    let mut object = query("q2");
    object["metadata"]["uid"] = "mine".into();
    object["metadata"]["generation"] = 7.into();
    object["metadata"]["creationTimestamp"] = "2000-01-01T00:00:00Z".into();
    object["metadata"]["deletionTimestamp"] = "2000-01-01T00:00:00Z".into();
    object["status"] = json!({"phase": "done"});
    let created = api.create(QUERIES, object).await;
    assert_ne!(created["metadata"]["uid"], "mine");
    assert_eq!(created["metadata"]["generation"], 1);
    assert_ne!(
        created["metadata"]["creationTimestamp"],
        "2000-01-01T00:00:00Z"
    );
    assert!(created["metadata"].get("deletionTimestamp").is_none());
    assert!(created.get("status").is_none());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_names_differ() {
    let (api, _) = server_with_query().await;
    let mut object = query("");
    object["metadata"] = json!({"generateName": "g-"});
    let first = api.create(QUERIES, object.clone()).await;
    let second = api.create(QUERIES, object).await;
    let name = first["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("g-") && name.len() == 7, "{name}");
    assert_ne!(first["metadata"]["name"], second["metadata"]["name"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_the_rest_are_written_apart() {
    let (api, created) = server_with_query().await;
    let (path, status_path) = (format!("{QUERIES}/q1"), format!("{QUERIES}/q1/status"));
    let mut with_status = created.clone();
    with_status["status"] = json!({"phase": "running"});
    with_status["spec"]["input"] = "ignored".into();
    with_status["metadata"]["labels"] = json!({"ignored": "yes"});
    let (code, stored) = api.put(&status_path, with_status).await;
    assert_eq!(code, 200, "{stored}");
    assert_eq!(stored["status"]["phase"], "running");
    assert_eq!(stored["spec"]["input"], "hello");
    assert!(stored["metadata"].get("labels").is_none());
    assert_eq!(stored["metadata"]["generation"], 1);

    let mut main = stored.clone();
    main["status"] = json!({"phase": "done"});
    main["metadata"]["labels"] = json!({"a": "b"});
    let (_, labelled) = api.put(&path, main.clone()).await;
    assert_eq!(labelled["status"]["phase"], "running");
    assert_eq!(
        labelled["metadata"]["generation"], 1,
        "labels are no change of what is wanted"
    );
    let (_, cancelled) = api
        .patch(
            &path,
            MERGE,
            r#"{"spec":{"cancel":true},"status":{"phase":"x"}}"#,
        )
        .await;
    assert_eq!(cancelled["metadata"]["generation"], 2);
    assert_eq!(cancelled["status"]["phase"], "running");
    let stale = api.put(&status_path, main).await;
    assert_eq!(stale.0, 409);
    let (_, patched) = api
        .patch(&status_path, MERGE, r#"{"status":{"phase":"done"}}"#)
        .await;
    assert_eq!(patched["status"]["phase"], "done");
    assert_eq!(api.get(&status_path).await.1, patched);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_changes_nothing_keeps_the_version() {
    let (api, created) = server_with_query().await;
    let path = format!("{QUERIES}/q1");
    let head = api.database.store.revisions().await.unwrap().head;
    assert_eq!(
        api.put(&path, created.clone()).await,
        (200, created.clone())
    );
    assert_eq!(api.patch(&path, MERGE, "{}").await, (200, created.clone()));
    let same = r#"[{"op":"replace","path":"/spec/input","value":"hello"}]"#;
    assert_eq!(api.patch(&path, JSON_PATCH, same).await, (200, created));
    let wished =
        r#"{"metadata":{"generation":9,"managedFields":[{"manager":"x"}]},"status":{"phase":"x"}}"#;
    api.patch(&path, MERGE, wished).await;
    assert_eq!(api.database.store.revisions().await.unwrap().head, head);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_stores_nothing() {
    let (api, created) = server_with_query().await;
    let head = api.database.store.revisions().await.unwrap().head;
    let dry = api
        .create(&format!("{QUERIES}?dryRun=All"), query("q2"))
        .await;
    assert!(dry["metadata"]["uid"].is_string());
    assert!(dry["metadata"].get("resourceVersion").is_none());
    let (code, _) = api
        .post(&format!("{QUERIES}?dryRun=All"), query("q1"))
        .await;
    assert_eq!(code, 409);
    let (_, patched) = api
        .patch(
            &format!("{QUERIES}/q1?dryRun=All"),
            MERGE,
            r#"{"spec":{"cancel":true}}"#,
        )
        .await;
    assert_eq!(patched["spec"]["cancel"], true);
    let (_, deleted) = api.delete(&format!("{QUERIES}/q1?dryRun=All")).await;
    assert_eq!(deleted["status"], "Success");
    assert_eq!(api.get(&format!("{QUERIES}/q1")).await, (200, created));
    assert_eq!(api.database.store.revisions().await.unwrap().head, head);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_without_a_version_all_arrive() {
    let api = start().await;
    api.create_config_map("counter", json!({})).await;
    let path = format!("{CONFIG_MAPS}/counter");
    let patches = (0..20).map(|n| {
        let patch = format!(r#"{{"data":{{"key{n}":"x"}}}}"#);
        let path = &path;
        let api = &api;
        async move { api.patch(path, MERGE, &patch).await.0 }
    });
    let codes = futures::future::join_all(patches).await;
    assert_eq!(codes, [200; 20]);
    let (_, stored) = api.get(&path).await;
    assert_eq!(stored["data"].as_object().unwrap().len(), 21);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_characters_survive_or_are_replaced() {
    let (api, _) = server_with_query().await;
    let text = r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"name":"odd"},"spec":{"input":"nul \u0000, lone \ud800, pair \ud83d\ude00, <&>","target":{"type":"model","name":"m"}}}"#;
    let request = api
        .request(Method::POST, QUERIES)
        .header("content-type", "application/json")
        .body(text);
    let (code, created) = answer(request.send().await.unwrap()).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(
        created["spec"]["input"],
        "nul \0, lone \u{fffd}, pair \u{1f600}, <&>"
    );
    assert_eq!(api.get(&format!("{QUERIES}/odd")).await.1, created);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_sealed_in_the_database() {
    let api = start().await;
    let path = "/api/v1/namespaces/default/secrets";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "s", "labels": {"team": "a"}, "annotations": {"last": "plain-in-annotation"}},
        "stringData": {"token": "plain-in-data"},
    });
    let created = api.create(path, secret).await;
    assert_eq!(created["type"], "Opaque");
    assert_eq!(created["data"]["token"], "cGxhaW4taW4tZGF0YQ==");
    assert!(created.get("stringData").is_none());
    let (_, patched) = api
        .patch(
            &format!("{path}/s"),
            MERGE,
            r#"{"stringData":{"token":"plain-again"}}"#,
        )
        .await;
    assert_eq!(patched["data"]["token"], "cGxhaW4tYWdhaW4=");
    let (_, list) = api.get(&format!("{path}?labelSelector=team%3Da")).await;
    assert_eq!(list["items"][0]["data"], patched["data"]);
    assert_eq!(api.get(&format!("{path}/s")).await.1, patched);

    let changes = api.database.store.changes(None, 0, 1000).await.unwrap();
    let texts: Vec<_> = changes
        .events
        .iter()
        .filter(|e| e.key.kind == "Secret")
        .flat_map(|e| [Some(e.after.clone()), e.before.clone()])
        .flatten()
        .collect();
    assert_eq!(texts.len(), 3);
    for text in texts {
        for plain in ["plain-in", "cGxhaW4", "last"] {
            assert!(!text.contains(plain), "{text}");
        }
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_looks_references_up() {
    let api = start().await;
    let (code, refused) = api.post(QUERIES, query("q1")).await;
    assert_eq!(code, 422, "{refused}");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("model \"m\" does not exist"),
        "{refused}"
    );
    api.create_model().await;
    api.create(QUERIES, query("q1")).await;
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_two_versions_of_one_object() {
    let api = start().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "text", "reason": "R", "type": "Normal",
        "regarding": {"kind": "Query", "name": "q1", "namespace": "default"}, "eventTime": "2026-11-20T00:00:00.000000Z",
        "reportingController": "c", "reportingInstance": "i", "action": "a",
    });
    api.create("/apis/events.k8s.io/v1/namespaces/default/events", event)
        .await;
    let select = "fieldSelector=involvedObject.name%3Dq1,involvedObject.kind%3DQuery";
    let (_, list) = api
        .get(&format!("/api/v1/namespaces/default/events?{select}"))
        .await;
    assert_eq!(list["items"][0]["message"], "text");
    assert_eq!(list["items"][0]["apiVersion"], "v1");
    let (_, other) = api
        .get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dq2")
        .await;
    assert_eq!(other["items"], json!([]));
    let (_, newer) = api
        .get("/apis/events.k8s.io/v1/namespaces/default/events/e")
        .await;
    assert_eq!(newer["note"], "text");
    assert!(newer.get("message").is_none());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_with_one_version_one_wins() {
    let api = start().await;
    let created = api.create_config_map("c", json!({})).await;
    let writes = (1..=16).map(|n| {
        let mut next = created.clone();
        next["data"]["n"] = n.to_string().into();
        let api = &api;
        async move { api.put(&format!("{CONFIG_MAPS}/c"), next).await.0 }
    });
    let mut codes = futures::future::join_all(writes).await;
    codes.sort_unstable();
    assert_eq!(codes[0], 200);
    assert_eq!(codes[1..], [409; 15]);
    let creates = (0..16).map(|_| api.post(CONFIG_MAPS, config_map("once", json!({}))));
    let mut codes: Vec<_> = futures::future::join_all(creates)
        .await
        .iter()
        .map(|a| a.0)
        .collect();
    codes.sort_unstable();
    assert_eq!(codes[0], 201);
    assert_eq!(codes[1..], [409; 15]);
    assert_ne!(
        version(&api.get(&format!("{CONFIG_MAPS}/c")).await.1),
        version(&created)
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_target_went_can_be_ended_and_labelled_but_not_changed() {
    let api = start().await;
    api.create_model().await;
    let path = format!("{QUERIES}/q");
    let mut held = query("q");
    held["metadata"]["finalizers"] = json!(["a.example/hold"]);
    api.create(QUERIES, held).await;
    let model = "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/models/m";
    assert_eq!(api.delete(model).await.0, 200);
    for accepted in [
        r#"{"metadata":{"labels":{"a":"b"}}}"#,
        r#"{"spec":{"cancel":true,"ttl":"1h"}}"#,
    ] {
        let (code, object) = api.patch(&path, MERGE, accepted).await;
        assert_eq!(code, 200, "{object}");
    }
    for (refused, field) in [
        (r#"{"spec":{"ttl":"soon"}}"#, "spec.ttl"),
        (r#"{"spec":{"input":"other"}}"#, "spec.target"),
    ] {
        let (code, status) = api.patch(&path, MERGE, refused).await;
        assert_eq!(code, 422, "{status}");
        assert_eq!(status["details"]["causes"][0]["field"], field);
    }
    assert_eq!(api.delete(&path).await.0, 200);
    let (code, last) = api
        .patch(&path, MERGE, r#"{"metadata":{"finalizers":null}}"#)
        .await;
    assert_eq!(code, 200, "{last}");
    assert_eq!(api.get(&path).await.0, 404);
    api.stop().await;
}
