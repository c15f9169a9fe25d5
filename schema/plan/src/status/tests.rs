use super::*;
use crate::Usage;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn facts(stage: Stage) -> Facts {
    let ended = matches!(stage, Stage::Ended(_));
    Facts {
        created_at: at(0),
        started_at: Some(at(2)),
        ended_at: ended.then(|| at(3) + TimeDelta::microseconds(234_567)),
        stage,
        input: Input {
            target_type: "agent".into(),
            target_name: "writer".into(),
            text: "hi".into(),
            parameters: Vec::new(),
            model_headers: Vec::new(),
            conversation_id: Some("c-1".into()),
            warnings: Vec::new(),
        },
    }
}

fn answered() -> Outcome {
    Outcome {
        phase: Phase::Done,
        class: None,
        content: "Hello".into(),
        messages: vec![json!({"role": "assistant", "name": "writer", "content": "Hello"})],
        usage: Usage {
            prompt_tokens: 7,
            completion_tokens: 3,
            total_tokens: 10,
            cached_tokens: 0,
        },
        warnings: vec!["the template names x, which has no value".into()],
    }
}

#[test]
fn an_answer_is_whole() {
    let status = status(&facts(Stage::Ended(answered())), false);
    let want = json!({
        "phase": "done",
        "conditions": [
            {"type": "Completed", "status": "True", "reason": "QuerySucceeded", "message": "Answered",
             "lastTransitionTime": "2027-01-15T08:00:03Z"},
            {"type": "Warnings", "status": "True", "reason": "QueryWarnings",
             "message": "the template names x, which has no value", "lastTransitionTime": "2027-01-15T08:00:03Z"},
        ],
        "response": {
            "target": {"type": "agent", "name": "writer"},
            "content": "Hello",
            "raw": r#"[{"content":"Hello","name":"writer","role":"assistant"}]"#,
            "phase": "done",
        },
        "tokenUsage": {"promptTokens": 7, "completionTokens": 3, "totalTokens": 10},
        "conversationId": "c-1",
        "duration": "1.234s",
    });
    assert_eq!(status, want);
}

#[test]
fn a_back_off_is_told() {
    let stage = Stage::Queued {
        since: at(1),
        failed: 2,
    };
    let status = status(&facts(stage), false);
    assert_eq!(
        status["conditions"][0]["message"],
        "Attempt 2 failed; waiting to try again"
    );
}

#[test]
fn each_stage_has_its_phase_and_reason() {
    let ended = |class| Stage::Ended(Outcome::error(class, "it went wrong"));
    let cases = [
        (
            Stage::Queued {
                since: at(1),
                failed: 0,
            },
            "queued",
            "False",
            "QueryQueued",
        ),
        (
            Stage::Running { since: at(2) },
            "running",
            "False",
            "QueryRunning",
        ),
        (Stage::Ended(answered()), "done", "True", "QuerySucceeded"),
        (
            Stage::Ended(Outcome::canceled()),
            "canceled",
            "True",
            "QueryCanceled",
        ),
        (ended(Class::Quota), "error", "True", "QueryErrored"),
        (
            ended(Class::TimedOutInQueue),
            "error",
            "True",
            "TimedOutInQueue",
        ),
        (
            ended(Class::TimedOutInExecution),
            "error",
            "True",
            "TimedOutInExecution",
        ),
    ];
    for (stage, phase, completed, reason) in cases {
        let status = status(&facts(stage), false);
        assert_eq!(status["phase"], phase);
        assert_eq!(status["conditions"][0]["status"], completed, "{reason}");
        assert_eq!(status["conditions"][0]["reason"], reason);
    }
    let queued = facts(Stage::Queued {
        since: at(1),
        failed: 0,
    });
    assert_eq!(status(&queued, true)["phase"], "pending");
}

#[test]
fn a_failure_names_its_class() {
    let failed = facts(Stage::Ended(Outcome::error(Class::Quota, "no money left")));
    let status = status(&failed, false);
    assert_eq!(status["conditions"][0]["message"], "Quota: no money left");
    assert_eq!(status["response"]["content"], "Quota: no money left");
    assert_eq!(
        status["response"]["raw"],
        r#"[{"error":"Quota","message":"no money left"}]"#
    );
    assert_eq!(status.get("tokenUsage"), None);
}

#[test]
fn a_refused_result_becomes_small() {
    let huge = Outcome {
        content: "x".repeat(2_000_000),
        warnings: vec!["ü".repeat(10_000); 50],
        ..answered()
    };
    let status = reduced(&facts(Stage::Ended(huge)), false);
    assert!(status.to_string().len() < 10_000);
    assert_eq!(status["phase"], "done");
    assert!(
        status["response"]["content"]
            .as_str()
            .unwrap()
            .contains("queue.outcomes")
    );

    let failed = Outcome::error(Class::BadReply, "ü".repeat(100_000));
    let status = reduced(&facts(Stage::Ended(failed)), false);
    assert!(status.to_string().len() < 20_000);
    assert!(
        status["conditions"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("BadReply: ü")
    );
}

#[test]
fn conditions_keep_to_their_length() {
    let failed = Outcome::error(Class::BadReply, "ü".repeat(100_000));
    let status = status(&facts(Stage::Ended(failed)), false);
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert_eq!(message.chars().count(), MAX_MESSAGE);
}
