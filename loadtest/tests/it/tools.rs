//! The HTTP tools.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::start;

#[tokio::test]
async fn tools_answer_alike_each_time_and_are_logged_as_tools() {
    let fixture = start().await;
    let url = |tool: &str| format!("http://{}/tools/{tool}", fixture.running.addr);
    let mut weather = Vec::new();
    for _ in 0..2 {
        let report = fixture.http.get(url("weather?city=Bern")).send().await;
        weather.push(report.unwrap().json::<Value>().await.unwrap());
    }
    assert_eq!(weather[0]["city"], "Bern");
    assert_eq!(weather[0], weather[1]);

    let said = json!({"a": [1, "two"]});
    let echo = fixture.post("/tools/echo", &said).send().await.unwrap();
    assert_eq!(echo.json::<Value>().await.unwrap(), said);
    let fail = fixture.http.get(url("fail")).send().await.unwrap();
    assert_eq!(fail.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let slow = fixture.http.get(url("slow?ms=20")).send().await.unwrap();
    assert_eq!(slow.status(), StatusCode::OK);

    let lines = fixture.lines();
    assert!(
        lines
            .iter()
            .all(|line| line.path.as_deref() == Some("tool"))
    );
    let asked: Vec<_> = lines.iter().map(|line| line.model.as_str()).collect();
    let weather = "/tools/weather";
    assert_eq!(
        asked,
        [
            weather,
            weather,
            "/tools/echo",
            "/tools/fail",
            "/tools/slow"
        ]
    );
}
