//! Bad input, end to end: a precise word for the user, and nothing lost beside it.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::system::{System, query};

fn completed(status: &Value) -> (&str, &str) {
    let conditions = status["conditions"].as_array().unwrap();
    let completed = conditions
        .iter()
        .find(|condition| condition["type"] == "Completed")
        .unwrap();
    (
        completed["reason"].as_str().unwrap(),
        completed["message"].as_str().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_text_arrives_as_text() {
    let system = System::start(Duration::ZERO, 1).await;
    // JSON that no Rust string can hold: a lone surrogate, written as an escape.
    let body = serde_json::to_string(&query("odd", "MARK"))
        .unwrap()
        .replace("MARK", r"nul \u0000 lone \ud800 end");
    let request = http_request(
        "/apis/ark.mckinsey.com/v1alpha1/namespaces/default/queries",
        body,
    );
    let created: Value = system.client.request(request).await.unwrap();
    assert_eq!(created["spec"]["input"], "nul \u{0} lone \u{fffd} end");
    let uid = created["metadata"]["uid"].as_str().unwrap().to_owned();
    system.ended(std::slice::from_ref(&uid), 1).await;
    let status = system.status(&uid);
    assert_eq!(status["phase"], "done", "{status}");
    assert!(
        status["response"]["content"]
            .as_str()
            .unwrap()
            .contains("nul \u{0} lone \u{fffd} end"),
        "{status}"
    );
}

fn http_request(path: &str, body: String) -> http::Request<Vec<u8>> {
    http::Request::post(path)
        .header("content-type", "application/json")
        .body(body.into_bytes())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_say_what_they_miss() {
    let system = System::start(Duration::ZERO, 1).await;
    let mut missing = query("missing", "hello {{.nobody}}");
    missing["spec"]["parameters"] = json!([{"name": "somebody", "value": "x"}]);
    let mut broken = query("broken", "hello {{.somebody");
    broken["spec"]["parameters"] = json!([{"name": "somebody", "value": "x"}]);
    let mut uids = Vec::new();
    for object in [missing, broken] {
        uids.push(system.create(object).await.metadata.uid.unwrap());
    }
    system.ended(&uids, 2).await;
    let status = system.status(&uids[0]);
    assert_eq!(status["phase"], "done");
    assert!(
        status["response"]["content"]
            .as_str()
            .unwrap()
            .contains("hello <no value>")
    );
    let warnings = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Warnings")
        .unwrap();
    assert!(
        warnings["message"].as_str().unwrap().contains("nobody"),
        "{status}"
    );
    let status = system.status(&uids[1]);
    let (reason, message) = completed(&status);
    assert_eq!(
        (status["phase"].as_str(), reason),
        (Some("error"), "QueryErrored")
    );
    assert!(
        message.starts_with("Template: ") && message.contains("broken"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let system = System::start(Duration::ZERO, 1).await;
    let mut nobody = query("nobody", "hi");
    nobody["spec"]["target"]["name"] = json!("nobody");
    let refused = system.try_create(nobody).await.unwrap_err().to_string();
    assert!(
        refused.contains("nobody") && refused.contains("does not exist"),
        "{refused}"
    );
    let refused = system
        .try_create(crate::system::model(Some("absent")))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("absent"), "{refused}");

    // The Secret goes after admission: the Query ends with the class and a name.
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(system.client.clone(), "default");
    secrets
        .delete("openai", &DeleteParams::default())
        .await
        .unwrap();
    let uid = system.ask("late", "hi").await;
    system.ended(std::slice::from_ref(&uid), 1).await;
    let status = system.status(&uid);
    let (_, message) = completed(&status);
    assert!(
        message.starts_with("Configuration: ") && message.contains("openai"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_classed_and_retried() {
    let system = System::start(Duration::ZERO, 1).await;
    let refused = system.ask("refused", "fault=401").await;
    let busy = system.ask("busy", "fault=429*2 retry-after=0").await;
    let mut garbage = query("garbage", "fault=garbage");
    garbage["spec"]["timeout"] = json!("4s");
    let garbage = system.create(garbage).await.metadata.uid.unwrap();
    let uids = [refused.clone(), busy.clone(), garbage.clone()];
    system.ended(&uids, 3).await;
    let status = system.status(&refused);
    assert!(completed(&status).1.starts_with("Rejected: "), "{status}");
    assert_eq!(
        system.status(&busy)["phase"],
        "done",
        "a refusal for lack of capacity is tried again"
    );
    let status = system.status(&garbage);
    let (reason, message) = completed(&status);
    assert!(
        message.starts_with("BadReply: ")
            || reason == "TimedOutInExecution"
            || message.starts_with("TimedOut"),
        "{status}"
    );
    assert!(
        !message.contains("<html>"),
        "what a provider says in confusion is for the log: {message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_target_went_can_still_be_cancelled() {
    let system = System::start(Duration::ZERO, 1).await;
    let uid = system.ask("running", "please fault=hang").await;
    system.until_in_flight(1).await;
    let agents: kube::Api<ark_api::Agent> = kube::Api::namespaced(system.client.clone(), "default");
    agents.delete("a", &DeleteParams::default()).await.unwrap();
    let cancel = Patch::Merge(json!({"spec": {"cancel": true}}));
    system
        .queries()
        .patch("running", &PatchParams::default(), &cancel)
        .await
        .unwrap();
    system.ended(std::slice::from_ref(&uid), 1).await;
    assert_eq!(system.status(&uid)["phase"], "canceled");
}
