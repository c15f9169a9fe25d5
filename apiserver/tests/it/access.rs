//! Who gets in, and what everybody may see.

use reqwest::Method;
use serde_json::json;

use crate::harness::{QUERIES, answer, start};

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_health_and_version_needs_the_token() {
    let api = start().await;
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        let open = api
            .client
            .get(format!("{}{path}", api.base))
            .send()
            .await
            .unwrap();
        assert_eq!(open.status(), 200, "{path}");
    }
    for path in ["/api", "/apis", "/openapi/v3", QUERIES, "/nowhere"] {
        for token in ["", "wrong", &api.token[1..]] {
            let request = api
                .client
                .get(format!("{}{path}", api.base))
                .bearer_auth(token);
            let (code, status) = answer(request.send().await.unwrap()).await;
            assert_eq!(
                (code, &status["reason"]),
                (401, &json!("Unauthorized")),
                "{path}"
            );
        }
    }
    assert_eq!(api.get(QUERIES).await.0, 200);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_the_usual_headers() {
    let api = start().await;
    let request = api.request(Method::GET, QUERIES).header("audit-id", "abc");
    let response = request.send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.headers()["audit-id"], "abc");
    assert_eq!(response.headers()["cache-control"], "no-cache, private");
    assert_eq!(response.headers()["content-type"], "application/json");
    let verbose = api
        .client
        .get(format!("{}/readyz?verbose", api.base))
        .send()
        .await
        .unwrap();
    assert_eq!(
        verbose.text().await.unwrap(),
        "[+]database ok\n[+]shutdown ok\nreadyz check passed\n"
    );
    assert!(api.metrics().contains(
        "ark_apiserver_requests_total{verb=\"list\",resource=\"queries\",code=\"200\"} 1"
    ));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_reviews_allow_all_and_say_why() {
    let api = start().await;
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {"user": "u", "resourceAttributes": {"verb": "get", "resource": "secrets"}},
    });
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let review = api.create(path, review).await;
    assert_eq!(review["status"]["allowed"], true);
    assert!(
        review["status"]["reason"]
            .as_str()
            .unwrap()
            .contains("no RBAC")
    );
    assert_eq!(api.get(path).await.0, 405);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:reader"}, "rules": [],
    });
    let request = api.request(
        Method::POST,
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    );
    let response = request.json(&role).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let warning = response.headers()["warning"].to_str().unwrap();
    assert!(warning.contains("does not enforce"), "{warning}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_and_openapi_name_every_kind() {
    let api = start().await;
    let (_, groups) = api.get("/apis").await;
    let ark = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["name"] == "ark.mckinsey.com")
        .unwrap();
    assert_eq!(ark["preferredVersion"]["version"], "v1alpha1");
    let mut kinds = 0;
    for version in ["v1alpha1", "v1prealpha1"] {
        let (_, list) = api.get(&format!("/apis/ark.mckinsey.com/{version}")).await;
        let entries = list["resources"].as_array().unwrap();
        kinds += entries
            .iter()
            .filter(|e| !e["name"].as_str().unwrap().contains('/'))
            .count();
        assert!(
            entries
                .iter()
                .all(|e| e["kind"].is_string() && e["verbs"].is_array())
        );
    }
    assert_eq!(kinds, 11);
    let (_, root) = api.get("/openapi/v3").await;
    let url = root["paths"]["apis/ark.mckinsey.com/v1alpha1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let response = api.request(Method::GET, url).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "public, immutable");
    let etag = response.headers()["etag"].clone();
    let (_, document) = answer(response).await;
    assert!(document["components"]["schemas"]["com.mckinsey.ark.v1alpha1.Query"].is_object());
    let again = api.request(Method::GET, url).header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_listed_in_every_representation() {
    let api = start().await;
    let tables = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    for group in [
        "/api/v1",
        "/apis/ark.mckinsey.com/v1alpha1",
        "/apis/ark.mckinsey.com/v1prealpha1",
        "/apis/coordination.k8s.io/v1",
        "/apis/events.k8s.io/v1",
    ] {
        let (_, resources) = api.get(group).await;
        for resource in resources["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap();
            if name.contains('/') {
                continue;
            }
            let path = format!("{group}/{name}");
            let kind = format!("{}List", resource["kind"].as_str().unwrap());
            for (accept, kind) in [
                ("", kind.as_str()),
                (tables, "Table"),
                (metadata, "PartialObjectMetadataList"),
            ] {
                let mut request = api.request(Method::GET, &path);
                if !accept.is_empty() {
                    request = request.header("accept", accept);
                }
                let (code, list) = answer(request.send().await.unwrap()).await;
                assert_eq!((code, &list["kind"]), (200, &json!(kind)), "{path}");
                let items = if kind == "Table" {
                    &list["rows"]
                } else {
                    &list["items"]
                };
                assert!(items.is_array(), "{path}: {list}");
                assert!(
                    list["metadata"]["resourceVersion"]
                        .as_str()
                        .unwrap()
                        .parse::<u64>()
                        .unwrap()
                        > 0
                );
            }
        }
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_fits_into_two_documents() {
    let api = start().await;
    let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let get = async |path: &str, known: &str| {
        let request = api
            .request(Method::GET, path)
            .header("accept", format!("{v2},application/json"))
            .header("if-none-match", known);
        request.send().await.unwrap()
    };
    for (path, group) in [("/api", json!(null)), ("/apis", json!("ark.mckinsey.com"))] {
        let response = get(path, "").await;
        assert_eq!(response.headers()["content-type"], v2);
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        let (_, document) = answer(response).await;
        assert_eq!(document["kind"], "APIGroupDiscoveryList");
        let items = document["items"].as_array().unwrap();
        assert!(items.iter().any(|item| item["metadata"]["name"] == group));
        assert_eq!(get(path, &etag).await.status(), 304);
    }
    let (_, plain) = api.get("/apis").await;
    assert_eq!(plain["kind"], "APIGroupList");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stands_for_its_service_account_as_long_as_that_is_there() {
    let api = start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}});
    api.create(accounts, account.clone()).await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    let path = format!("{accounts}/builder/token");
    let (code, issued) = api.post(&path, request.clone()).await;
    assert_eq!(code, 201, "{issued}");
    let token = issued["status"]["token"].as_str().unwrap().to_owned();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let whoami = async || {
        let url = format!(
            "{}/apis/authentication.k8s.io/v1/selfsubjectreviews",
            api.base
        );
        let request = api.client.post(url).bearer_auth(&token).json(&review);
        answer(request.send().await.unwrap()).await
    };
    let (code, me) = whoami().await;
    assert_eq!(code, 201, "{me}");
    assert_eq!(
        me["status"]["userInfo"]["username"],
        "system:serviceaccount:default:builder"
    );
    // Another account of the same name is not the one that the token was made for.
    assert_eq!(api.delete(&format!("{accounts}/builder")).await.0, 200);
    api.create(accounts, account).await;
    assert_eq!(whoami().await.0, 401);
    let nobody = api.post(&path.replace("builder", "nobody"), request).await;
    assert_eq!(nobody.0, 404);
    api.stop().await;
}
