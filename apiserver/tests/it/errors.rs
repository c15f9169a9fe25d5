//! Refusals, word for word as the Kubernetes custom-resource server gives them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, JSON_PATCH, MERGE, QUERIES, answer, query, start, version};

/// Code, reason and message of a failed request.
fn told(answer: &(u16, Value)) -> (u64, &str, &str) {
    let (code, status) = answer;
    assert_eq!(status["kind"], "Status", "{status}");
    assert_eq!(status["code"], *code);
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    (u64::from(*code), text("reason"), text("message"))
}

async fn server_with_query() -> Api {
    let api = start().await;
    api.create_model().await;
    api.create(QUERIES, query("p1")).await;
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_watches_refuse_broken_options() {
    let api = start().await;
    let forbidden = |field: &str, why: &str| {
        format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {why}")
    };
    let cases = [
        ("resourceVersion=abc", 400, "BadRequest", "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax".to_owned()),
        ("resourceVersionMatch=Exact", 422, "Invalid", forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422, "Invalid", forbidden("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")),
        ("watch=1&sendInitialEvents=true", 422, "Invalid", forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")),
        ("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 422, "Invalid", forbidden("sendInitialEvents", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1", 422, "Invalid", forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")),
        ("labelSelector=a%20in", 400, "BadRequest", "unable to parse requirement: found '' expected: '('".to_owned()),
        ("fieldSelector=spec.x%3D1", 400, "BadRequest", "field label not supported: spec.x".to_owned()),
        ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTAxLCJzdGFydCI6Ii9wMlx1MDAwMCJ9&resourceVersion=5", 400, "BadRequest", "specifying resource version is not allowed when using continue".to_owned()),
    ];
    for (query, code, reason, message) in cases {
        let answer = api.get(&format!("{QUERIES}?{query}")).await;
        assert_eq!(told(&answer), (code, reason, message.as_str()), "{query}");
    }
    let bad = api.get(&format!("{QUERIES}?continue=xx")).await;
    assert!(
        told(&bad)
            .2
            .starts_with("invalid continue token: continue key is not valid")
    );
    let future = api.get(&format!("{QUERIES}?resourceVersion=999999")).await;
    assert_eq!(told(&future).0, 504);
    assert!(
        told(&future)
            .2
            .starts_with("Timeout: Too large resource version: 999999, current: ")
    );
    assert_eq!(
        future.1["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_refuse_broken_objects() {
    let api = server_with_query().await;
    let name_rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let changed = |change: fn(&mut Value)| {
        let mut object = query("t1");
        change(&mut object);
        object
    };
    let cases = [
        (query("p1"), 409, "AlreadyExists", "queries.ark.mckinsey.com \"p1\" already exists".to_owned()),
        (changed(|q| q["kind"] = "Agent".into()), 422, "Invalid", "Agent.ark.mckinsey.com \"t1\" is invalid: kind: Invalid value: \"Agent\": must be Query".to_owned()),
        (changed(|q| q["apiVersion"] = "ark.mckinsey.com/v9".into()), 400, "BadRequest", "the API version in the data (ark.mckinsey.com/v9) does not match the expected API version (ark.mckinsey.com/v1alpha1)".to_owned()),
        (changed(|q| {
            q["metadata"]["name"] = "P_1".into();
            q["spec"] = json!({});
        }), 422, "Invalid", format!("Query.ark.mckinsey.com \"P_1\" is invalid: [metadata.name: Invalid value: \"P_1\": {name_rule}, spec.input: Required value]")),
        (changed(|q| q["metadata"] = json!({})), 422, "Invalid", "Query.ark.mckinsey.com \"\" is invalid: metadata.name: Required value: name or generateName is required".to_owned()),
        (changed(|q| q["metadata"]["namespace"] = "other".into()), 400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request".to_owned()),
        (changed(|q| q["metadata"]["labels"] = json!({"a": 1})), 400, "BadRequest", "Query in version \"v1alpha1\" cannot be handled as a Query: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string".to_owned()),
    ];
    for (object, code, reason, message) in cases {
        let answer = api.post(QUERIES, object).await;
        assert_eq!(told(&answer), (code, reason, message.as_str()));
    }
    let agent = json!({"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Agent", "metadata": {"name": "a"}, "spec": {"prompt": 5}});
    let answer = api.post(&QUERIES.replace("queries", "agents"), agent).await;
    assert_eq!(
        told(&answer).2,
        "Agent.ark.mckinsey.com \"a\" is invalid: spec.prompt: Invalid value: \"integer\": spec.prompt in body must be of type string: \"integer\""
    );
    assert_eq!(
        answer.1["details"]["causes"][0]["reason"],
        "FieldValueTypeInvalid"
    );
    let elsewhere = api
        .post(&QUERIES.replace("default", "nowhere"), query("x"))
        .await;
    assert_eq!(
        told(&elsewhere),
        (404, "NotFound", "namespaces \"nowhere\" not found")
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_media_types_are_checked() {
    let api = server_with_query().await;
    let send = async |method: Method, path: &str, type_: &str, body: String| {
        let request = api
            .request(method, path)
            .header("content-type", type_)
            .body(body);
        answer(request.send().await.unwrap()).await
    };
    let empty = send(Method::POST, QUERIES, "application/json", String::new()).await;
    assert_eq!(
        told(&empty).2,
        "the object provided is unrecognized (must be of type Query): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"
    );
    let huge = "x".repeat(3 * 1024 * 1024 + 1);
    let huge = send(Method::POST, QUERIES, "application/json", huge).await;
    assert_eq!(
        told(&huge),
        (
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728"
        )
    );
    for type_ in ["application/xml", "application/vnd.kubernetes.protobuf"] {
        let refused = send(Method::POST, QUERIES, type_, "{}".into()).await;
        assert_eq!(told(&refused).0, 415, "{type_}");
    }
    let p1 = format!("{QUERIES}/p1");
    for type_ in [
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ] {
        let refused = send(Method::PATCH, &p1, type_, "{}".into()).await;
        assert_eq!(
            told(&refused),
            (
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json"
            )
        );
    }
    let broken = api.patch(&p1, MERGE, "{").await;
    assert_eq!(
        told(&broken),
        (
            400,
            "BadRequest",
            "error decoding patch: unexpected end of JSON input"
        )
    );
    let test = r#"[{"op":"test","path":"/spec/zz","value":1}]"#;
    let failed = api.patch(&p1, JSON_PATCH, test).await;
    assert_eq!(
        told(&failed),
        (
            422,
            "Invalid",
            "the server rejected our request due to an error in our request"
        )
    );
    for accept in ["application/xml", "application/vnd.kubernetes.protobuf"] {
        let request = api.request(Method::GET, QUERIES).header("accept", accept);
        assert_eq!(told(&answer(request.send().await.unwrap()).await).0, 406);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_need_the_current_version() {
    let api = server_with_query().await;
    let p1 = format!("{QUERIES}/p1");
    let modified = "Operation cannot be fulfilled on queries.ark.mckinsey.com \"p1\": the object has been modified; please apply your changes to the latest version and try again";
    let without = api.put(&p1, query("p1")).await;
    assert_eq!(
        told(&without),
        (
            422,
            "Invalid",
            "queries.ark.mckinsey.com \"p1\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        )
    );
    let mut stale = query("p1");
    stale["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(
        told(&api.put(&p1, stale).await),
        (409, "Conflict", modified)
    );
    let patch = r#"{"metadata":{"resourceVersion":"1"},"spec":{"input":"y"}}"#;
    assert_eq!(
        told(&api.patch(&p1, MERGE, patch).await),
        (409, "Conflict", modified)
    );
    let mut other = query("p2");
    other["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(
        told(&api.put(&p1, other.clone()).await),
        (
            400,
            "BadRequest",
            "the name of the object (p2) does not match the name on the URL (p1)"
        )
    );
    let missing = api.put(&format!("{QUERIES}/p2"), other).await;
    assert_eq!(
        told(&missing),
        (404, "NotFound", "queries.ark.mckinsey.com \"p2\" not found")
    );

    let (_, current) = api.get(&p1).await;
    let mut wrong_uid = current.clone();
    wrong_uid["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(told(&api.put(&p1, wrong_uid).await).0, 409);
    let patch = r#"{"metadata":{"uid":"x"}}"#;
    let refused = api.patch(&p1, MERGE, patch).await;
    assert_eq!(
        told(&refused).2,
        "Query.ark.mckinsey.com \"p1\" is invalid: metadata.uid: Invalid value: \"x\": field is immutable"
    );
    let patch = r#"{"metadata":{"creationTimestamp":"2000-01-01T00:00:00Z"}}"#;
    assert_eq!(api.patch(&p1, MERGE, patch).await, (200, current.clone()));
    let mut first = current.clone();
    first["spec"]["input"] = "first".into();
    let (code, stored) = api.put(&p1, first).await;
    assert_eq!(code, 200, "{stored}");
    assert_ne!(version(&stored), version(&current));
    assert_eq!(told(&api.put(&p1, current).await).1, "Conflict");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_writes_are_checked() {
    let api = server_with_query().await;
    let cases = [
        (
            format!("{QUERIES}?fieldValidation=x"),
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
        ),
        (
            format!("{QUERIES}?dryRun=x"),
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported values: \"All\"",
        ),
    ];
    for (path, message) in cases {
        assert_eq!(
            told(&api.post(&path, query("d1")).await),
            (422, "Invalid", message)
        );
    }
    let strict = r#"{"apiVersion":"ark.mckinsey.com/v1alpha1","kind":"Query","metadata":{"name":"d1","foo":"x"},"spec":{"input":"i","input":"j","zz":1}}"#;
    let request = api.request(Method::POST, &format!("{QUERIES}?fieldValidation=Strict"));
    let refused = request
        .header("content-type", "application/json")
        .body(strict)
        .send()
        .await
        .unwrap();
    assert_eq!(
        told(&answer(refused).await),
        (
            400,
            "BadRequest",
            "Query in version \"v1alpha1\" cannot be handled as a Query: strict decoding error: duplicate field \"spec.input\", unknown field \"metadata.foo\", unknown field \"spec.zz\""
        )
    );
    let patch = r#"{"spec":{"zz":1}}"#;
    let refused = api
        .patch(
            &format!("{QUERIES}/p1?fieldValidation=Strict"),
            MERGE,
            patch,
        )
        .await;
    let (code, reason, message) = told(&refused);
    assert_eq!((code, reason), (422, "Invalid"));
    assert!(
        message.starts_with(" \"\" is invalid: patch: Invalid value: "),
        "{message}"
    );
    assert!(
        message.ends_with("strict decoding error: unknown field \"spec.zz\""),
        "{message}"
    );
    let policy = api
        .delete(&format!("{QUERIES}/p1?propagationPolicy=X"))
        .await;
    assert_eq!(
        told(&policy),
        (
            422,
            "Invalid",
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"X\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        )
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_said_so() {
    let api = server_with_query().await;
    let status = api.delete(&format!("{QUERIES}/p1/status")).await;
    assert_eq!(
        told(&status),
        (
            405,
            "MethodNotAllowed",
            "delete is not supported on resources of kind \"queries.ark.mckinsey.com\""
        )
    );
    let all = api.delete(QUERIES).await;
    assert_eq!(
        told(&all),
        (
            405,
            "MethodNotAllowed",
            "deletecollection is not supported on resources of kind \"queries.ark.mckinsey.com\""
        )
    );
    let scale = api.get(&format!("{QUERIES}/p1/scale")).await;
    assert_eq!(
        told(&scale),
        (404, "NotFound", "queries.ark.mckinsey.com \"p1\" not found")
    );
    for path in [
        "/apis/ark.mckinsey.com/v1alpha1/nope",
        "/openapi/v2",
        "/api/v1/pods",
    ] {
        assert_eq!(api.get(path).await, (404, "404 page not found\n".into()));
    }
    let missing = api.delete(&format!("{QUERIES}/zz")).await;
    assert_eq!(
        told(&missing),
        (404, "NotFound", "queries.ark.mckinsey.com \"zz\" not found")
    );
    api.stop().await;
}
