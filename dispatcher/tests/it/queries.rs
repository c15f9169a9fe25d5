//! What becomes of Queries.

use std::time::Duration;

use ark_dispatcher::Authorization;
use ark_plan::{Class, Input, Phase, Plan, Target, status::Stage};
use ark_store::Progress;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::setup::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_becomes_one_execution_and_its_wishes_follow() {
    let Some(setup) = start("a_query_becomes_one_execution_and_its_wishes_follow").await else {
        return;
    };

    let uid = setup
        .ask(
            "plain",
            "writer",
            json!({"parameters": [{"name": "p", "value": "v"}], "input": "say {{.p}}"}),
        )
        .await;
    setup.until(uid, Some(None)).await;
    let worker = Uuid::new_v4();
    setup.store.register(worker, "test", 10).await.unwrap();
    let claimed = setup
        .store
        .claim(worker, Uuid::new_v4(), 10, ark_plan::FORMAT, &[])
        .await
        .unwrap();
    let run = claimed
        .runs
        .iter()
        .find(|run| run.uid == uid)
        .expect("it can be claimed");
    let plans = setup.store.plans(&[run.plan]).await.unwrap();
    let plan: Plan = serde_json::from_str(&plans[0].2).unwrap();
    assert!(
        matches!(&plan.target, Target::Agent(agent) if agent.prompt == "You write." && agent.model.name == "default")
    );
    assert!(run.input.contains("say {{.p}}"));
    assert!(
        run.trace
            .as_ref()
            .is_some_and(|trace| trace.starts_with("00-"))
    );

    let uid = setup.ask("canceled", "writer", json!({})).await;
    setup.until(uid, Some(None)).await;
    let patch = Patch::Merge(json!({"spec": {"cancel": true}}));
    setup
        .queries()
        .patch("canceled", &PatchParams::default(), &patch)
        .await
        .unwrap();
    setup.until(uid, Some(Some(Phase::Canceled))).await;

    let uid = setup
        .ask("born-canceled", "writer", json!({"cancel": true}))
        .await;
    setup.until(uid, Some(Some(Phase::Canceled))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_planned_ends_with_a_reason_and_goes_at_its_ttl() {
    let Some(setup) = start("what_cannot_be_planned_ends_with_a_reason_and_goes_at_its_ttl").await
    else {
        return;
    };

    let uid = setup.ask("lost", "nobody", json!({})).await;
    setup.until(uid, Some(Some(Phase::Error))).await;
    let reports = setup
        .store
        .claim_reports(
            Uuid::new_v4(),
            Progress::Terminal,
            10,
            Duration::from_secs(60),
        )
        .await
        .unwrap();
    let report = reports
        .iter()
        .find(|report| report.uid == uid)
        .expect("its end is to be reported");
    let Stage::Ended(outcome) = &report.facts.stage else {
        panic!("{:?}", report.facts)
    };
    assert_eq!(outcome.class, Some(Class::Configuration));
    assert!(
        outcome.content.contains("nobody") && outcome.content.contains("does not exist"),
        "{}",
        outcome.content
    );
    assert_eq!(report.facts.input.target_name, "nobody");

    let secret = json!({"parameters": [{"name": "p", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}], "ttl": "1s"});
    let uid = setup.ask("secretless", "writer", secret).await;
    // A server without Secrets has no such Secret; and the object goes a second after its end.
    let gone = tokio::time::timeout(Duration::from_secs(60), async {
        while setup
            .queries()
            .get_opt("secretless")
            .await
            .unwrap()
            .is_some()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    gone.await.expect("it is deleted at its ttl");
    setup.until(uid, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_forgotten_whoever_was_looking() {
    let Some(mut setup) = start("what_is_deleted_is_forgotten_whoever_was_looking").await else {
        return;
    };

    let first = setup.ask("again", "writer", json!({})).await;
    setup.until(first, Some(None)).await;
    setup
        .queries()
        .delete("again", &Default::default())
        .await
        .unwrap();
    let second = setup.ask("again", "writer", json!({})).await;
    setup.until(first, None).await;
    setup.until(second, Some(None)).await;

    setup.stop_dispatching().await;
    setup
        .queries()
        .delete("again", &Default::default())
        .await
        .unwrap();
    let third = setup.ask("again", "writer", json!({})).await;
    assert_eq!(
        setup.execution(second).await,
        Some(None),
        "nobody is looking"
    );
    setup.dispatch();
    setup.until(second, None).await;
    setup.until(third, Some(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_queries_to_one_agent_read_it_a_few_times() {
    let Some(mut setup) = start("many_queries_to_one_agent_read_it_a_few_times").await else {
        return;
    };

    let names: Vec<String> = (0..300).map(|i| format!("many-{i}")).collect();
    let asked = names
        .iter()
        .map(|name| setup.ask(name, "writer", json!({})));
    let uids = futures::future::join_all(asked).await;
    for uid in &uids {
        setup.until(*uid, Some(None)).await;
    }
    let reads = setup.metric("ark_dispatcher_object_reads_total{kind=\"Agent\"}");
    assert!((1.0..100.0).contains(&reads), "{reads} reads of one Agent");

    setup.stop_dispatching().await;
    setup.dispatch();
    let next = setup.ask("next", "writer", json!({})).await;
    setup.until(next, Some(None)).await;
    let live = setup.store.live(0, 10_000).await.unwrap();
    assert_eq!(
        live.len(),
        uids.len() + 1,
        "a restart makes no second execution"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_finds_the_first_agent_by_name() {
    let Some(setup) = start("a_selector_finds_the_first_agent_by_name").await else {
        return;
    };
    setup.create_agent("b-second", json!({"team": "red"})).await;
    setup.create_agent("a-first", json!({"team": "red"})).await;
    setup.create_agent("0-other", json!({"team": "blue"})).await;
    let select = |labels: Value| json!({"target": null, "selector": {"matchLabels": labels}});

    let red = setup.ask("red", "", select(json!({"team": "red"}))).await;
    setup.until(red, Some(None)).await;
    let green = setup
        .ask("green", "", select(json!({"team": "green"})))
        .await;
    setup.until(green, Some(Some(Phase::Error))).await;

    let worker = Uuid::new_v4();
    setup.store.register(worker, "test", 10).await.unwrap();
    let claimed = setup
        .store
        .claim(worker, Uuid::new_v4(), 10, ark_plan::FORMAT, &[])
        .await
        .unwrap();
    assert_eq!(claimed.runs.len(), 1);
    let input: Input = serde_json::from_str(&claimed.runs[0].input).unwrap();
    assert_eq!(
        (input.target_type.as_str(), input.target_name.as_str()),
        ("agent", "a-first")
    );
    let lists = setup.metric("ark_dispatcher_selections_total{kind=\"Tool\"}");
    assert_eq!(
        lists, 1.0,
        "only the one that matches nothing looks at all kinds"
    );
    assert!(setup.metric("ark_dispatcher_decisions_total{action=\"plan\"}") >= 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_about_rights_nothing_is_allowed() {
    let Some(mut setup) = start("without_an_answer_about_rights_nothing_is_allowed").await else {
        return;
    };
    setup.stop_dispatching().await;
    setup.dispatch_with(Authorization::Rbac);
    let plain = setup.ask("plain", "writer", json!({})).await;
    let account = json!({"serviceAccount": "bot"});
    let as_bot = setup.ask("as-bot", "writer", account).await;
    setup.until(plain, Some(None)).await;
    setup.until(as_bot, Some(Some(Phase::Error))).await;
    assert_eq!(
        setup.metric("ark_dispatcher_access_reviews_total{result=\"refused\"}"),
        1.0
    );
}
