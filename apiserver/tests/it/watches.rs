//! Watches are exact: every change after a version, once, in order.

use std::collections::BTreeMap;
use std::time::Duration;

use ark_store::Op;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Api, CONFIG_MAPS, MERGE, config_map, start, version};

/// The lines of a watch as they arrive.
struct Lines {
    response: Response,
    buffer: Vec<u8>,
}

impl Lines {
    async fn open(api: &Api, query: &str) -> Self {
        let path = format!("{CONFIG_MAPS}?watch=true&{query}");
        let response = api.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    /// The next event; None when the watch has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk());
            self.buffer
                .extend(chunk.await.expect("an event in time").unwrap()?);
        }
    }

    /// Type and name of the next event.
    async fn told(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&event["type"]),
            text(&event["object"]["metadata"]["name"]),
        )
    }
}

fn told(type_: &str, name: &str) -> (String, String) {
    (type_.to_owned(), name.to_owned())
}

async fn head(api: &Api) -> i64 {
    api.database.store.revisions().await.unwrap().head
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_where_it_is_told() {
    let api = start().await;
    let created = api.create_config_map("a", json!({})).await;
    let mut from_now = Lines::open(&api, "resourceVersion=0").await;
    assert_eq!(from_now.told().await, told("ADDED", "a"));
    let mut from_version =
        Lines::open(&api, &format!("resourceVersion={}", version(&created))).await;
    let mut from_future =
        Lines::open(&api, &format!("resourceVersion={}", head(&api).await + 1)).await;
    api.create_config_map("b", json!({})).await;
    api.create_config_map("c", json!({})).await;
    assert_eq!(from_now.told().await, told("ADDED", "b"));
    assert_eq!(from_version.told().await, told("ADDED", "b"));
    assert_eq!(from_future.told().await, told("ADDED", "c"));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entering_and_leaving_a_selection_looks_like_creation_and_deletion() {
    let api = start().await;
    let mut watch = Lines::open(
        &api,
        &format!(
            "resourceVersion={}&labelSelector=tier%3Da",
            head(&api).await
        ),
    )
    .await;
    api.create_config_map("x", json!({"tier": "b"})).await;
    let path = format!("{CONFIG_MAPS}/x");
    for tier in ["a", "b", "a"] {
        let patch = format!(r#"{{"metadata":{{"labels":{{"tier":"{tier}"}}}}}}"#);
        api.patch(&path, MERGE, &patch).await;
    }
    let (_, last) = api.get(&path).await;
    api.delete(&path).await;
    assert_eq!(watch.told().await, told("ADDED", "x"));
    let left = watch.next().await.unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(
        left["object"]["metadata"]["labels"]["tier"], "a",
        "its last state inside"
    );
    let back = watch.next().await.unwrap();
    assert_eq!((&back["type"], &back["object"]), (&json!("ADDED"), &last));
    let number = |event: &Value| version(&event["object"]).parse::<i64>().unwrap();
    assert_eq!(number(&left) + 1, number(&back));
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(
        number(&gone),
        head(&api).await,
        "under the version of the deletion"
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bookmarks_and_timeouts_end_a_watch_in_order() {
    let api = start().await;
    let since = head(&api).await;
    let query = format!("resourceVersion={since}&allowWatchBookmarks=true&timeoutSeconds=1");
    let mut watch = Lines::open(&api, &query).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    api.create(
        secrets,
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}}),
    )
    .await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "ConfigMap");
    assert_eq!(
        version(&bookmark["object"]).parse::<i64>().unwrap(),
        head(&api).await
    );
    assert_eq!(watch.next().await, None);
    let mut silent = Lines::open(&api, &format!("resourceVersion={since}&timeoutSeconds=1")).await;
    assert_eq!(silent.next().await, None);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_name_their_columns_once() {
    let api = start().await;
    let path = format!(
        "{CONFIG_MAPS}?watch=true&resourceVersion={}",
        head(&api).await
    );
    let request = api
        .request(Method::GET, &path)
        .header("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    let mut watch = Lines {
        response: request.send().await.unwrap(),
        buffer: Vec::new(),
    };
    api.create_config_map("a", json!({})).await;
    api.create_config_map("b", json!({})).await;
    let first = watch.next().await.unwrap();
    assert_eq!(first["object"]["columnDefinitions"][1]["name"], "Data");
    assert_eq!(first["object"]["rows"][0]["cells"][1], 1);
    let second = watch.next().await.unwrap();
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_answered_before_anything_happens() {
    let api = start().await;
    let url = format!(
        "{}{CONFIG_MAPS}?watch=true&resourceVersion={}",
        api.base,
        head(&api).await
    );
    let request = api.http1.get(url).bearer_auth(&api.token).send();
    let response = tokio::time::timeout(Duration::from_secs(10), request).await;
    let response = response.expect("the head comes at once").unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_11);
    let mut watch = Lines {
        response,
        buffer: Vec::new(),
    };
    api.create_config_map("a", json!({})).await;
    assert_eq!(watch.told().await, told("ADDED", "a"));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_watches() {
    let api = start().await;
    let mut watch = Lines::open(&api, "").await;
    api.shut_down();
    assert_eq!(watch.next().await, None);
    api.stop().await;
}

/// What a watcher saw: version, type and name of each event.
type Seen = Vec<(i64, String, String)>;

fn seen(event: &Value) -> (i64, String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let object = &event["object"];
    (
        version(object).parse().unwrap(),
        text(&event["type"]),
        text(&object["metadata"]["name"]),
    )
}

/// Watches until `last` has been seen deleted, beginning anew after every `reconnect_after` events.
async fn follow(api: &Api, query: &str, since: i64, reconnect_after: usize, last: &str) -> Seen {
    let mut all = Seen::new();
    let mut from = since;
    loop {
        let mut watch = Lines::open(api, &format!("resourceVersion={from}&{query}")).await;
        for _ in 0..reconnect_after {
            let event = seen(&watch.next().await.expect("the watch goes on"));
            from = event.0;
            let done = event.1 == "DELETED" && event.2 == last;
            all.push(event);
            if done {
                return all;
            }
        }
    }
}

/// Creates, relabels and deletes objects of its own, over and over.
async fn churn(api: &Api, writer: usize) {
    for round in 0..12 {
        let name = format!("w{writer}-{}", round % 3);
        let tier = if (writer + round).is_multiple_of(2) {
            "a"
        } else {
            "b"
        };
        api.create(CONFIG_MAPS, config_map(&name, json!({"tier": tier})))
            .await;
        let path = format!("{CONFIG_MAPS}/{name}");
        for n in 1..4 {
            let tier = if (round + n) % 2 == 0 { "a" } else { "b" };
            let patch =
                format!(r#"{{"metadata":{{"labels":{{"tier":"{tier}"}}}},"data":{{"n":"{n}"}}}}"#);
            assert_eq!(api.patch(&path, MERGE, &patch).await.0, 200);
        }
        assert_eq!(api.delete(&path).await.0, 200);
    }
}

/// What a watch must show, from the log itself: of all, or of those with label tier=a.
async fn expected(api: &Api, since: i64, selected: bool) -> Seen {
    let mut expected = Seen::new();
    let mut inside: BTreeMap<String, bool> = BTreeMap::new();
    let kind = Some(("", "ConfigMap"));
    let changes = api
        .database
        .store
        .changes(kind, since, 100_000)
        .await
        .unwrap();
    for event in changes.events {
        let object: Value = serde_json::from_str(&event.after).unwrap();
        let fits = !selected || object["metadata"]["labels"]["tier"] == "a";
        let is = event.op != Op::Deleted && fits;
        let was = inside.insert(event.key.name.clone(), is).unwrap_or(false);
        let type_ = match (was, is) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => continue,
        };
        expected.push((event.resource_version, type_.to_owned(), event.key.name));
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_repeated_under_concurrent_writers() {
    const WRITERS: usize = 8;
    let api = start().await;
    let since = head(&api).await;
    let watchers = async {
        tokio::join!(
            follow(&api, "", since, usize::MAX, "last"),
            follow(&api, "", since, 7, "last"),
            follow(&api, "", since, 1, "last"),
            follow(&api, "labelSelector=tier%3Da", since, 5, "last"),
        )
    };
    let writers = async {
        futures::future::join_all((0..WRITERS).map(|writer| churn(&api, writer))).await;
        api.create_config_map("last", json!({"tier": "a"})).await;
        api.delete(&format!("{CONFIG_MAPS}/last")).await;
    };
    let ((steady, restless, nervous, choosy), ()) = tokio::join!(watchers, writers);
    let all = expected(&api, since, false).await;
    assert_eq!(all.len(), WRITERS * 12 * 5 + 2);
    assert_eq!(steady, all);
    assert_eq!(restless, all);
    assert_eq!(nervous, all);
    assert_eq!(choosy, expected(&api, since, true).await);
    api.stop().await;
}
