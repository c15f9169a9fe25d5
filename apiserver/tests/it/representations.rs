//! The same objects as JSON, YAML and protobuf, whole or only their metadata.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Api, CONFIG_MAPS, QUERIES, answer, config_map, query, start, version};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const YAML: &str = "application/yaml";
const RBAC: &str = "rbac.authorization.k8s.io";

/// One object of every core kind, with its collection.
fn core_objects() -> Vec<(String, Value)> {
    let inside = |plural: &str| format!("/api/v1/namespaces/default/{plural}");
    let mut all = vec![
        (
            inside("configmaps"),
            core(
                "ConfigMap",
                json!({"data": {"a": "b", "empty": ""}, "binaryData": {"c": "AAE="}}),
            ),
        ),
        (
            inside("secrets"),
            core(
                "Secret",
                json!({"type": "Opaque", "data": {"a": "AP8="}, "immutable": true}),
            ),
        ),
        (
            inside("serviceaccounts"),
            core(
                "ServiceAccount",
                json!({"secrets": [{"name": "s"}], "automountServiceAccountToken": false}),
            ),
        ),
        (
            inside("services"),
            core(
                "Service",
                json!({"spec": {"clusterIP": "None", "selector": {"a": "b"}, "ports": [
            {"name": "web", "port": 80, "protocol": "TCP", "targetPort": "web"}, {"name": "n", "port": 81, "targetPort": 8081}]}}),
            ),
        ),
        (
            inside("events"),
            core(
                "Event",
                json!({
            "involvedObject": {"kind": "Query", "name": "q1", "namespace": "default", "uid": "u"},
            "reason": "Started", "message": "m", "type": "Normal", "count": 3,
            "firstTimestamp": "2026-11-21T10:00:00Z", "eventTime": "2026-11-21T10:00:00.000123Z"}),
            ),
        ),
        ("/api/v1/namespaces".into(), core("Namespace", json!({}))),
        (
            "/apis/events.k8s.io/v1/namespaces/default/events".into(),
            object(
                "events.k8s.io/v1",
                "Event",
                json!({
            "regarding": {"kind": "Query", "name": "q1", "namespace": "default"}, "reason": "Started", "note": "m",
            "type": "Normal", "action": "Start", "eventTime": "2026-11-21T10:00:00.000123Z",
            "series": {"count": 2, "lastObservedTime": "2026-11-21T10:00:01.000000Z"}}),
            ),
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases".into(),
            object(
                "coordination.k8s.io/v1",
                "Lease",
                json!({"spec": {
            "holderIdentity": "", "leaseDurationSeconds": 15, "renewTime": "2026-11-21T10:00:00.000123Z"}}),
            ),
        ),
    ];
    let rules =
        json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]});
    let binding = json!({
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "x"},
        "subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "default"}],
    });
    for (kind, path, content) in [
        ("ClusterRole", "clusterroles", &rules),
        ("Role", "namespaces/default/roles", &rules),
        ("ClusterRoleBinding", "clusterrolebindings", &binding),
        ("RoleBinding", "namespaces/default/rolebindings", &binding),
    ] {
        let object = object(&format!("{RBAC}/v1"), kind, content.clone());
        all.push((format!("/apis/{RBAC}/v1/{path}"), object));
    }
    all
}

fn core(kind: &str, content: Value) -> Value {
    object("v1", kind, content)
}

fn object(api_version: &str, kind: &str, mut content: Value) -> Value {
    content["apiVersion"] = api_version.into();
    content["kind"] = kind.into();
    content["metadata"] = json!({"name": "x", "labels": {"a": "b"}, "finalizers": ["a.example/b"]});
    content
}

async fn send(api: &Api, method: Method, path: &str, types: [&str; 2], body: Vec<u8>) -> Response {
    let [content, accept] = types;
    let request = api
        .request(method, path)
        .header("content-type", content)
        .header("accept", accept)
        .body(body);
    request.send().await.unwrap()
}

async fn get(api: &Api, path: &str, accept: &str) -> Response {
    send(api, Method::GET, path, ["", accept], Vec::new()).await
}

/// What a create says of an object, without what differs each time.
fn without_identity(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        metadata.remove(field);
    }
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn core_kinds_go_through_protobuf_and_yaml_unchanged() {
    let api = start().await;
    for (path, object) in core_objects() {
        let tried = format!("{path}?dryRun=All");
        let plain = without_identity(api.create(&tried, object.clone()).await);
        for encoding in [PROTOBUF, YAML] {
            let json = serde_json::to_vec(&object).unwrap();
            let types = ["application/json", encoding];
            let encoded = send(&api, Method::POST, &tried, types, json).await;
            assert_eq!(encoded.status(), 201, "{path}");
            assert_eq!(encoded.headers()["content-type"], encoding);
            let encoded = encoded.bytes().await.unwrap().to_vec();
            let types = [encoding, "application/json"];
            let decoded = send(&api, Method::POST, &tried, types, encoded).await;
            let (code, decoded) = answer(decoded).await;
            assert_eq!(code, 201, "{decoded}");
            assert_eq!(without_identity(decoded), plain, "{encoding}");
        }
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_watches_come_as_protobuf() {
    let api = start().await;
    let first = api.create_config_map("first", json!({})).await;
    let list = get(&api, CONFIG_MAPS, PROTOBUF)
        .await
        .bytes()
        .await
        .unwrap();
    assert!(list.starts_with(b"k8s\0"));
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds(&list, "ConfigMapList") && holds(&list, "first"));

    let at = version(&first);
    let path = format!(
        "{CONFIG_MAPS}?watch=1&allowWatchBookmarks=1&timeoutSeconds=2&resourceVersion={at}"
    );
    let watch = get(&api, &path, PROTOBUF).await;
    assert_eq!(
        watch.headers()["content-type"],
        "application/vnd.kubernetes.protobuf;stream=watch"
    );
    api.create(CONFIG_MAPS, config_map("second", json!({})))
        .await;
    let sent = watch.bytes().await.unwrap();
    let (added, rest) = frame(&sent);
    assert!(holds(added, "ADDED") && holds(added, "k8s\0") && holds(added, "second"));
    let (bookmark, rest) = frame(rest);
    assert!(holds(bookmark, "BOOKMARK") && rest.is_empty());
    api.stop().await;
}

/// The first frame of a watch, and what follows it.
fn frame(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(4);
    let length = u32::from_be_bytes(length.try_into().unwrap());
    rest.split_at(usize::try_from(length).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_metadata_of_any_kind() {
    let api = start().await;
    api.create_model().await;
    let created = api.create(QUERIES, query("q1")).await;
    let json = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let path = format!("{QUERIES}/q1");
    let expected = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": created["metadata"],
    });
    assert_eq!(answer(get(&api, &path, json).await).await.1, expected);
    let lists = json.replace("Metadata;", "MetadataList;");
    let (_, list) = answer(get(&api, QUERIES, &lists).await).await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"], json!([expected]));
    let watched = format!("{QUERIES}?watch=1&timeoutSeconds=1&resourceVersion=0");
    let (_, event) = answer(get(&api, &watched, json).await).await;
    assert_eq!(event, json!({"type": "ADDED", "object": expected}));
    // A garbage collector asks like this.
    let both = format!("{},{json}", json.replace("application/json", PROTOBUF));
    let one = get(&api, &path, &both).await;
    assert_eq!(one.headers()["content-type"], PROTOBUF);
    assert_eq!(get(&api, QUERIES, PROTOBUF).await.status(), 406);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn core_kinds_are_held_against_their_types() {
    let api = start().await;
    let types = ["application/json", ""];
    let strict = format!("{CONFIG_MAPS}?fieldValidation=Strict");
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","foo":1},"data":{"a":"1","a":"2"},"dta":{}}"#;
    let refused = send(&api, Method::POST, &strict, types, twice.into()).await;
    let (code, refused) = answer(refused).await;
    assert_eq!(
        (code, refused["message"].as_str().unwrap()),
        (
            400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.a\", unknown field \"dta\", unknown field \"metadata.foo\""
        )
    );
    let warned = send(&api, Method::POST, CONFIG_MAPS, types, twice.into()).await;
    let warnings = warned.headers().get_all("warning").iter().count();
    assert_eq!((warned.status().as_u16(), warnings), (201, 3));
    assert!(answer(warned).await.1.get("dta").is_none());
    let mut wrong = config_map("w", json!({}));
    wrong["data"]["a"] = 1.into();
    let (code, refused) = api.post(CONFIG_MAPS, wrong).await;
    assert_eq!(
        (code, refused["message"].as_str().unwrap()),
        (
            400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
        )
    );
    api.stop().await;
}
