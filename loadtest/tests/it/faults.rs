//! Failures on demand, as the client meets them.

use ark_loadtest::provider::Status;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{ask, assemble, start, streamed};

#[tokio::test]
async fn a_limited_429_says_when_to_retry_and_then_gives_way() {
    let fixture = start().await;
    let body = ask("hello fault=429*2 retry-after=3");
    for _ in 0..2 {
        let refused = fixture.chat(&body).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "3");
        let error: Value = refused.json().await.unwrap();
        assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    }
    assert_eq!(fixture.chat(&body).await.status(), StatusCode::OK);
    let faults: Vec<_> = fixture.lines().into_iter().map(|line| line.fault).collect();
    assert_eq!(
        faults,
        [Some("429".to_owned()), Some("429".to_owned()), None]
    );
}

#[tokio::test]
async fn other_statuses_and_the_billing_refusal_are_told_apart() {
    let fixture = start().await;
    assert_eq!(fixture.chat(&ask("fault=500")).await.status(), 500);
    assert_eq!(fixture.chat(&ask("fault=529")).await.status(), 529);
    let quota = fixture.chat(&ask("fault=quota")).await;
    assert!(!quota.headers().contains_key("retry-after"));
    let error: Value = quota.json().await.unwrap();
    assert_eq!(error["error"]["type"], "insufficient_quota");
}

#[tokio::test]
async fn a_cut_answer_has_a_beginning_and_no_end() {
    let fixture = start().await;
    let whole = fixture.chat(&ask("fault=cut")).await;
    assert_eq!(whole.status(), StatusCode::OK);
    whole
        .bytes()
        .await
        .expect_err("the body is shorter than announced");

    let mut stream = fixture.chat(&streamed(ask("fault=cut"))).await;
    let mut received = Vec::new();
    let error = loop {
        match stream.chunk().await {
            Ok(Some(bytes)) => received.extend(bytes),
            Ok(None) => panic!("a cut stream must not look complete"),
            Err(error) => break error,
        }
    };
    let begun = assemble(&String::from_utf8(received).unwrap());
    assert!(begun.deltas > 0 && !begun.done, "{begun:?} {error}");
}

#[tokio::test]
async fn garbage_is_a_200_that_does_not_parse() {
    let fixture = start().await;
    let reply = fixture.chat(&ask("fault=garbage")).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let text = reply.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err());
}

#[tokio::test]
async fn an_error_may_come_inside_a_stream() {
    let fixture = start().await;
    let body = fixture
        .chat(&streamed(ask("fault=error")))
        .await
        .text()
        .await;
    let stream = assemble(&body.unwrap());
    assert!(stream.deltas > 0 && !stream.done);
    assert_eq!(stream.error.unwrap()["type"], "server_error");
}

#[tokio::test]
async fn faults_can_be_set_for_the_next_requests_and_taken_back() {
    let fixture = start().await;
    let set = |body: Value| fixture.post("/admin/faults", &body).send();
    let next = set(json!({"status": 429, "count": 2, "retry_after": 5})).await;
    assert_eq!(next.unwrap().json::<Value>().await.unwrap()["pending"], 2);
    let refused = fixture.chat(&ask("hello")).await;
    assert_eq!(refused.headers()["retry-after"], "5");
    let url = format!("http://{}/admin/faults", fixture.running.addr);
    fixture.http.delete(url).send().await.unwrap();
    assert_eq!(fixture.chat(&ask("hello")).await.status(), StatusCode::OK);
    let unknown = set(json!({"fault": "earthquake"})).await.unwrap();
    assert_eq!(unknown.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_hang_and_a_stall_last_until_the_client_leaves() {
    let fixture = start().await;
    let body = streamed(ask("fault=stall"));
    let mut stalled = fixture.chat(&body).await;
    let begun = stalled.chunk().await.unwrap().unwrap();
    assert!(begun.starts_with(b"data: "));
    drop(stalled);
    fixture.wait_for_lines(1).await;

    let request = fixture.post("/v1/chat/completions", &ask("fault=hang"));
    let timeout = std::time::Duration::from_millis(100);
    let error = request.timeout(timeout).send().await.unwrap_err();
    assert!(error.is_timeout());
    let lines = fixture.wait_for_lines(2).await;
    let ends: Vec<_> = lines.iter().map(|line| line.status).collect();
    assert_eq!(ends, [Status::Aborted, Status::Aborted]);
}

#[tokio::test]
async fn a_wait_is_announced_in_each_form() {
    let fixture = start().await;
    let header = async |form: &str, name: &str| {
        let body = ask(&format!("fault=429 retry-after=90 retry-form={form}"));
        let refused = fixture.chat(&body).await;
        let value = refused.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header("seconds", "retry-after").await.unwrap(), "90");
    assert_eq!(header("ms", "retry-after-ms").await.unwrap(), "90000");
    let openai = header("openai", "x-ratelimit-reset-requests").await;
    assert_eq!(openai.unwrap(), "1m30s");
    assert_eq!(header("none", "retry-after").await, None);

    let in_90_s = chrono::Utc::now() + chrono::Duration::seconds(90);
    let near = |time: chrono::DateTime<chrono::Utc>| (time - in_90_s).num_seconds().abs() <= 5;
    let date = header("date", "retry-after").await.unwrap();
    assert!(
        near(
            chrono::DateTime::parse_from_rfc2822(&date)
                .unwrap()
                .to_utc()
        ),
        "{date}"
    );
    let time = header("anthropic", "anthropic-ratelimit-requests-reset")
        .await
        .unwrap();
    assert!(near(time.parse().unwrap()), "{time}");
}

#[tokio::test]
async fn an_answer_may_have_headers_only_or_lack_its_cost() {
    let fixture = start().await;
    let mut hanging = fixture.chat(&streamed(ask("fault=hang-body"))).await;
    assert_eq!(hanging.status(), StatusCode::OK);
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), hanging.chunk()).await;
    assert!(more.is_err(), "{more:?}");

    let body = fixture
        .chat(&streamed(ask("fault=no-usage")))
        .await
        .text()
        .await;
    let stream = assemble(&body.unwrap());
    assert!(stream.done && stream.usage.is_none());
}

#[tokio::test]
async fn a_share_of_all_requests_fails_until_that_is_taken_back() {
    let fixture = start().await;
    let half = json!({"status": 529, "share": 0.5});
    fixture.post("/admin/faults", &half).send().await.unwrap();
    let mut failed = 0;
    for number in 0..100 {
        let status = fixture.chat(&ask(&number.to_string())).await.status();
        failed += usize::from(status == 529);
    }
    assert!((30..70).contains(&failed), "{failed}");
    let url = format!("http://{}/admin/faults", fixture.running.addr);
    fixture.http.delete(url).send().await.unwrap();
    for number in 0..20 {
        assert_eq!(fixture.chat(&ask(&number.to_string())).await.status(), 200);
    }
}
