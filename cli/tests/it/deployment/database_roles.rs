//! The database's roles as the pages make them: each may do what it needs, and KEDA's nothing else.

use std::path::Path;
use std::time::Duration;

use super::operations::{commands, page, shell, tools, type_in};
use crate::charts::{DATABASE, ROOT, helm, named, template};
use crate::system::{Process, System, ark};

/// Our database's address for another role, or for another database of the same server.
fn address(system: &System, role: &str, database: &str) -> String {
    let address = system.url.replace("user=ark", &format!("user={role}"));
    address.replace(":///ark?", &format!(":///{database}?"))
}

/// Runs a script of deploy/examples as the owner of the database.
async fn run_script(system: &System, script: &str, options: &str) {
    let file = system.folder.path().join("script.sql");
    std::fs::write(&file, script).unwrap();
    let file = file.display();
    let psql = format!("psql -X -v ON_ERROR_STOP=1 {options} -f '{file}' \"$ARK_DATABASE_URL\"");
    type_in(system, &psql).await;
}

fn example(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join("deploy/examples").join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_install_may_migrate_its_database() {
    if !tools().await {
        return;
    }
    let system = System::start(Duration::ZERO, 0).await;
    let all = commands(&page());
    let install = all.iter().find(|command| command.contains("create role"));
    // The server of the test has a role and a database of this name.
    let install = install.unwrap().replace("role ark ", "role fresh ");
    let install = install.replace("database ark owner ark", "database fresh owner fresh");
    type_in(&system, &install).await;
    let url = address(&system, "fresh", "fresh");
    for role in ["migrate", "status"] {
        let output = ark().args([role, "--database-url", &url]).output().await;
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ark {role}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dispatcher_and_worker_work_with_the_rights_of_the_runtime_role() {
    if !tools().await {
        return;
    }
    let mut system = System::start(Duration::ZERO, 0).await;
    system.dispatcher.kill().await;
    type_in(&system, "psql -c 'create role runtime login'").await;
    let script = example("runtime-role.sql").replace(" to ark;", " to runtime;");
    assert!(script.contains("to runtime;"));
    run_script(&system, &script, "").await;

    // The API server keeps its own role.
    system.url = address(&system, "runtime", "ark");
    let mut dispatcher = ark();
    dispatcher
        .args(["dispatcher", "--leader-elect=false", "--authorization=off"])
        .args(["--database-url", &system.url, "--kubeconfig"])
        .arg(&system.kubeconfig);
    let folder = system.folder.path();
    system.dispatcher = Process::start("runtime-dispatcher", folder, &mut dispatcher).await;
    system.start_worker().await;
    let inputs = system.ask_many(10, "limited", "turns=2").await;
    let uids: Vec<String> = inputs.keys().cloned().collect();
    system.ended(&uids, 10).await;
    system.assert_answered(&inputs);
    for refused in ["select from public.resources", "drop table queue.steps"] {
        let command = format!("psql -X -c '{refused}' \"$ARK_DATABASE_URL\"");
        let output = shell(&system, &command).output().await.unwrap();
        assert!(!output.status.success(), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keda_counts_with_its_own_role_and_reads_nothing_else() {
    let Some(helm) = helm().await else { return };
    if !tools().await {
        return;
    }
    let mut system = System::start(Duration::ZERO, 0).await;
    run_script(&system, &example("keda-role.sql"), "-v password=\"'x'\"").await;
    let args = [DATABASE, &["--set=keda.enabled=true"]].concat();
    let objects = template(helm, "ark-worker", &args).await.unwrap();
    let scaler = named(&objects, "ScaledObject", "ark-worker");
    let count = &scaler["spec"]["triggers"][0]["metadata"]["query"];
    let count = format!(
        "psql -X -At -c '{}' \"$ARK_DATABASE_URL\"",
        count.as_str().unwrap()
    );

    system.ask_many(7, "waiting", "").await;
    let settled = "psql -X -At -c 'select count(*) from queue.ready' \"$ARK_DATABASE_URL\"";
    while type_in(&system, settled).await.trim() != "7" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    system.url = address(&system, "ark_scaler", "ark");
    assert_eq!(type_in(&system, &count).await.trim(), "7");
    for refused in [
        "select from queue.executions",
        "select from queue.steps",
        "delete from queue.ready",
    ] {
        let command = format!("psql -X -c '{refused}' \"$ARK_DATABASE_URL\"");
        let output = shell(&system, &command).output().await.unwrap();
        assert!(!output.status.success(), "{refused}");
    }
}
