//! Lists: order, selection, pages of one version.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::harness::{Api, CONFIG_MAPS, MERGE, QUERIES, config_map, query, start, version};

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|i| i["metadata"]["name"].as_str().unwrap())
        .collect()
}

async fn server_with(count: usize) -> Api {
    let api = start().await;
    for n in 0..count {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        api.create_config_map(&format!("c{n:03}"), json!({"parity": parity}))
            .await;
    }
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_choose() {
    let api = server_with(6).await;
    let (_, odd) = api
        .get(&format!("{CONFIG_MAPS}?labelSelector=parity%3Dodd"))
        .await;
    assert_eq!(names(&odd), ["c001", "c003", "c005"]);
    let (_, one) = api
        .get("/api/v1/configmaps?fieldSelector=metadata.name%3Dc002")
        .await;
    assert_eq!(names(&one), ["c002"]);
    let (_, none) = api
        .get("/api/v1/configmaps?fieldSelector=metadata.namespace%3Dkube-system")
        .await;
    assert_eq!(none["items"], json!([]));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_show_one_version() {
    let api = server_with(10).await;
    let (_, first) = api.get(&format!("{CONFIG_MAPS}?limit=4")).await;
    assert_eq!(names(&first), ["c000", "c001", "c002", "c003"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 6);
    // What happens between the pages does not show in them.
    api.delete(&format!("{CONFIG_MAPS}/c005")).await;
    api.create(CONFIG_MAPS, config_map("c0045", json!({})))
        .await;
    let mut seen: Vec<String> = names(&first).into_iter().map(str::to_owned).collect();
    let mut token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    while !token.is_empty() {
        let (code, page) = api
            .get(&format!("{CONFIG_MAPS}?limit=4&continue={token}"))
            .await;
        assert_eq!(code, 200, "{page}");
        assert_eq!(version(&page), version(&first));
        seen.extend(names(&page).into_iter().map(str::to_owned));
        token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    }
    let expected: Vec<_> = (0..10).map(|n| format!("c{n:03}")).collect();
    assert_eq!(seen, expected);
    let (_, exact) = api
        .get(&format!(
            "{CONFIG_MAPS}?resourceVersionMatch=Exact&resourceVersion={}",
            version(&first)
        ))
        .await;
    assert_eq!(names(&exact).len(), 10);
    assert!(names(&exact).contains(&"c005"));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_with_a_selector_are_full_but_for_the_last() {
    let api = server_with(11).await;
    let (_, first) = api
        .get(&format!("{CONFIG_MAPS}?limit=2&labelSelector=parity%3Dodd"))
        .await;
    assert_eq!(names(&first), ["c001", "c003"]);
    assert!(first["metadata"].get("remainingItemCount").is_none());
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = api
        .get(&format!(
            "{CONFIG_MAPS}?limit=5&labelSelector=parity%3Dodd&continue={token}"
        ))
        .await;
    assert_eq!(names(&rest), ["c005", "c007", "c009"]);
    assert_eq!(rest["metadata"]["continue"], "");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_miss_and_repeat_nothing_while_every_object_changes() {
    const COUNT: usize = 2000;
    const AT_ONCE: usize = 64;
    let api = start().await;
    api.create_model().await;
    let expected: Vec<String> = (0..COUNT).map(|n| format!("q{n:04}")).collect();
    let each = async |name: &str| api.create(QUERIES, query(name)).await;
    stream::iter(&expected)
        .map(|name| each(name))
        .buffer_unordered(AT_ONCE)
        .for_each(async |_| {})
        .await;
    let status = async |name: &str| {
        let path = format!("{QUERIES}/{name}/status");
        let (code, answer) = api
            .patch(&path, MERGE, r#"{"status":{"phase":"done"}}"#)
            .await;
        if code == 200 { Ok(()) } else { Err(answer) }
    };
    // Not in the order of the pages, so that changes come before and behind the page being read.
    let order = (0..COUNT).map(|n| &expected[n * 7 % COUNT]);
    let changes = stream::iter(order)
        .map(|name| status(name))
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |()| Ok(()));
    let pages = async {
        let (mut lists, mut changed) = (0, 0);
        // Lists until the changes have come through.
        while changed < COUNT {
            let (names, done) = pages_of(&api, 50).await;
            assert_eq!(names, expected);
            (lists, changed) = (lists + 1, done);
        }
        lists
    };
    let (changed, lists) = tokio::join!(changes, pages);
    changed.unwrap();
    assert!(lists > 1, "the changes were over before the first list");
    api.stop().await;
}

/// The names of all Queries in pages of one version, and how many of them are done.
async fn pages_of(api: &Api, limit: usize) -> (Vec<String>, usize) {
    let (mut seen, mut done, mut token, mut first) = (Vec::new(), 0, String::new(), None);
    loop {
        let path = format!("{QUERIES}?limit={limit}&continue={token}");
        let (code, page) = api.get(&path).await;
        assert_eq!(code, 200, "{page}");
        let at = version(&page);
        assert_eq!(first.get_or_insert(at.clone()), &at);
        for item in page["items"].as_array().unwrap() {
            let number = |text: &str| text.parse::<u64>().unwrap();
            assert!(number(&version(item)) <= number(&at), "{item} in {at}");
            done += usize::from(item["status"]["phase"] == "done");
        }
        seen.extend(names(&page).into_iter().map(str::to_owned));
        token = page["metadata"]["continue"].as_str().unwrap().to_owned();
        if token.is_empty() {
            return (seen, done);
        }
    }
}
