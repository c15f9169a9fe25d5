//! What happens to those who ask for versions that are no longer held.

use std::time::Duration;

use ark_store::{Change, Key, Store, Write};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::harness::{CONFIG_MAPS, start};

/// The store drops its history in pieces of this many versions.
const PIECE: i64 = 50_000;

/// Writes so much that the oldest piece of the history can go, and lets it go.
async fn outlive_history(store: &Store) {
    while store.revisions().await.unwrap().head <= PIECE {
        let batch: Vec<_> = (0..256).map(|_| filler()).collect();
        store.write(&batch).await.unwrap();
    }
    assert_eq!(store.compact(Duration::ZERO).await.unwrap(), 1);
}

fn filler() -> Write {
    let key = Key {
        group: String::new(),
        kind: "Service".into(),
        namespace: "default".into(),
        name: Uuid::new_v4().to_string(),
    };
    Write {
        key,
        api_version: "v1".into(),
        uid: Uuid::new_v4(),
        change: Change::Create,
        head: r#"{"metadata":{"resourceVersion":""#.into(),
        tail: r#""}}"#.into(),
        derived: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_gone_are_410() {
    let api = start().await;
    for name in ["a", "b", "c"] {
        api.create_config_map(name, json!({})).await;
    }
    let (_, first) = api.get(&format!("{CONFIG_MAPS}?limit=1")).await;
    let since = first["metadata"]["resourceVersion"].as_str().unwrap();
    outlive_history(&api.database.store).await;

    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={since}");
    let watch = api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(watch.status(), 200, "the error comes in the stream");
    let event: serde_json::Value = watch.json().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    let status = &event["object"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(410), &json!("Expired"))
    );
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("too old resource version: {since} (")),
        "{message}"
    );

    let exact = format!("{CONFIG_MAPS}?resourceVersionMatch=Exact&resourceVersion={since}");
    assert_eq!(api.get(&exact).await.0, 410);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (code, expired) = api
        .get(&format!("{CONFIG_MAPS}?limit=1&continue={token}"))
        .await;
    assert_eq!(code, 410);
    let token = expired["metadata"]["continue"].as_str().unwrap();
    let (code, rest) = api.get(&format!("{CONFIG_MAPS}?continue={token}")).await;
    assert_eq!(code, 200, "{rest}");
    assert_eq!(rest["items"][0]["metadata"]["name"], "b");
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    api.stop().await;
}
