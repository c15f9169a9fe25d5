//! Lists: order, selection, pages of one version.

use serde_json::{Value, json};

use crate::harness::{Api, CONFIG_MAPS, config_map, start, version};

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
