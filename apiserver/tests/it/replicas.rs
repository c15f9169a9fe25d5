//! Several servers over one database and one data folder.

use std::sync::Arc;

use ark_apiserver::PortChoice;
use reqwest::Method;
use serde_json::json;

use crate::harness::{CONFIG_MAPS, MERGE, start, start_at};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_writes_the_other_shows() {
    let first = start().await;
    let port = first.base.rsplit(':').next().unwrap().parse().unwrap();
    let database = first.database.clone();
    let store = database.store.clone();
    let folder = Arc::clone(&first.data_dir);
    let second = start_at(database, store, folder, PortChoice::NextFree(port)).await;
    assert_ne!(first.base, second.base, "the port was taken");
    assert_eq!(first.token, second.token);

    let head = first.database.store.revisions().await.unwrap().head;
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={head}");
    let mut watch = second.request(Method::GET, &path).send().await.unwrap();
    let created = first.create_config_map("a", json!({})).await;
    let line = watch.chunk().await.unwrap().unwrap();
    let event: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(
        (&event["type"], &event["object"]),
        (&json!("ADDED"), &created)
    );
    let own = format!("{CONFIG_MAPS}/a");
    assert_eq!(second.get(&own).await, (200, created));

    // Both write one object at once: no change is lost.
    let patches = (0..20).map(|n| {
        let server = if n % 2 == 0 { &first } else { &second };
        let (own, patch) = (&own, format!(r#"{{"data":{{"key{n}":"x"}}}}"#));
        async move { server.patch(own, MERGE, &patch).await.0 }
    });
    assert_eq!(futures::future::join_all(patches).await, [200; 20]);
    let (_, stored) = first.get(&own).await;
    assert_eq!(stored["data"].as_object().unwrap().len(), 21);

    // A Secret sealed by one is opened by the other.
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}});
    let secret = first.create(secrets, secret).await;
    assert_eq!(second.get(&format!("{secrets}/s")).await, (200, secret));
    first.stop().await;
    assert_eq!(second.get(&own).await, (200, stored));
    second.stop().await;
}
