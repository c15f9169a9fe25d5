//! The commands that people type.

use std::process::Stdio;

use serde_json::Value;

use crate::system::ark;

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml");

struct Output {
    ok: bool,
    out: String,
    err: String,
}

async fn output(args: &[&str]) -> Output {
    let output = ark()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    Output {
        ok: output.status.success(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The variables of the providers' own clients need no change of a manifest, and no Secret.
#[tokio::test]
async fn variables_of_the_providers_clients_are_honoured() {
    let provider = ark_loadtest::provider::start(Default::default())
        .await
        .unwrap();
    let folder = crate::system::folder();
    let manifests = std::fs::read_to_string(QUICKSTART).unwrap();
    let without_secret = manifests.split_once("---\n").unwrap().1;
    let file = folder.path().join("no-secret.yaml");
    std::fs::write(&file, without_secret).unwrap();
    let run = || {
        let mut run = ark();
        run.args(["run", "--provider", "auto"]).arg(&file);
        for variable in ["OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
            run.env_remove(variable);
        }
        run
    };
    let refused = run().output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("openai"), "the Secret is named: {said}");
    let done = run()
        .env("OPENAI_BASE_URL", provider.url())
        .env("OPENAI_API_KEY", "of-the-environment")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("3 of 3 queries done"), "{said}");
    assert!(!said.contains("of-the-environment"));
}

#[tokio::test]
async fn the_quickstart_answers_everything() {
    let text = output(&["run", QUICKSTART, "--provider", "mock", "--watch"]).await;
    assert!(text.ok, "{}", text.err);
    for name in [
        "default/hello",
        "default/three-turns",
        "default/with-parameter",
    ] {
        assert!(
            text.out.contains(&format!("--- {name} (done, ")),
            "{}",
            text.out
        );
    }
    assert!(
        text.err.contains("turn.2"),
        "progress shows turns: {}",
        text.err
    );
    assert!(text.err.contains("3 of 3 queries done"));

    let json = output(&[
        "run",
        QUICKSTART,
        "--provider",
        "mock",
        "--output",
        "json",
        "--input",
        "topic=leases",
    ])
    .await;
    assert!(json.ok, "{}", json.err);
    let answers: Vec<Value> = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let with_parameter = answers
        .iter()
        .find(|answer| answer["query"] == "default/with-parameter")
        .unwrap();
    let content = with_parameter["status"]["response"]["content"]
        .as_str()
        .unwrap();
    assert!(
        content.ends_with("to: Explain leases to a newcomer."),
        "{content}"
    );
}

#[tokio::test]
async fn a_dry_run_shows_plans_and_calls_nothing() {
    let shown = output(&["run", QUICKSTART, "--dry-run"]).await;
    assert!(shown.ok, "{}", shown.err);
    assert!(
        shown.out.contains("gpt-4.1-mini") && !shown.out.contains("replace-me"),
        "{}",
        shown.out
    );
}

#[tokio::test]
async fn bad_input_is_named_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let check = async |text: &str, expected: &[&str]| {
        let file = folder.path().join("query.yaml");
        std::fs::write(&file, text).unwrap();
        let failed = output(&[
            "run",
            file.to_str().unwrap(),
            "--provider",
            "mock",
            "--dry-run",
        ])
        .await;
        assert!(!failed.ok);
        for word in expected {
            assert!(
                failed.err.contains(word),
                "{word:?} is missing in: {}",
                failed.err
            );
        }
    };
    let query = |spec: &str| {
        format!(
            "apiVersion: ark.mckinsey.com/v1alpha1\nkind: Query\nmetadata: {{name: q}}\nspec: {spec}\n"
        )
    };
    check(
        &query("{input: hi, target: {type: agent, name: nobody}}"),
        &["query.yaml", "nobody"],
    )
    .await;
    check(
        &query("{input: hi, zz: 1, target: {type: agent, name: nobody}}"),
        &["unknown field", "spec.zz"],
    )
    .await;
    check(
        &query("{target: {type: robot, name: a}}"),
        &["spec.input", "Required", "spec.target.type"],
    )
    .await;
    check(
        "kind: Query\nmetadata: {name: q}\n",
        &["apiVersion", "missing"],
    )
    .await;
    check("a: [", &["is not YAML"]).await;
}

#[tokio::test]
async fn every_command_explains_itself() {
    for command in [
        "validate",
        "query",
        "status",
        "top",
        "completion",
        "man",
        "up",
        "run",
        "apiserver",
        "dispatcher",
        "worker",
        "mock-provider",
        "migrate",
        "crds",
    ] {
        let help = output(&[command, "--help"]).await;
        assert!(
            help.ok && help.out.contains("Usage: ark"),
            "{command}: {}",
            help.err
        );
    }
    let help = output(&["worker", "--help"]).await.out;
    for flag in [
        "--database-url",
        "--kubeconfig",
        "--slots",
        "--provider",
        "--mock-url",
        "--metrics-addr",
    ] {
        assert!(help.contains(flag), "{flag} is not explained");
    }
}

#[tokio::test]
async fn a_role_refuses_a_database_without_migrations() {
    let folder = crate::system::folder();
    let options = ark_postgres::Options {
        data_dir: folder.path().to_owned(),
        cache_dir: None,
        choice: ark_postgres::Choice::Auto,
        settings: Vec::new(),
    };
    let server = ark_postgres::Server::start(options).await.unwrap();
    let refused = output(&[
        "dispatcher",
        "--database-url",
        server.url(),
        "--kubeconfig",
        "/dev/null",
    ])
    .await;
    assert!(
        !refused.ok && refused.err.contains("ark migrate"),
        "{}",
        refused.err
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn validate_follows_selectors() {
    let manifests = std::fs::read_to_string(QUICKSTART).unwrap();
    let selected = manifests
        .replace(
            "  name: guide\nspec:",
            "  name: guide\n  labels: {role: guide}\nspec:",
        )
        .replace(
            "  target:\n    type: agent\n    name: guide",
            "  selector:\n    matchLabels: {role: guide}",
        );
    assert_ne!(selected, manifests);
    let folder = crate::system::folder();
    let file = folder.path().join("selectors.yaml");
    std::fs::write(&file, &selected).unwrap();
    let valid = output(&["validate", file.to_str().unwrap()]).await;
    assert!(valid.ok, "{}", valid.err);
    std::fs::write(
        &file,
        selected.replace("labels: {role: guide}", "labels: {}"),
    )
    .unwrap();
    let invalid = output(&["validate", file.to_str().unwrap()]).await;
    assert!(invalid.err.contains("matches no agent"), "{}", invalid.err);
}

#[tokio::test]
async fn validate_checks_files_without_a_server() {
    let valid = output(&["validate", QUICKSTART]).await;
    assert!(valid.ok, "{}", valid.err);
    assert_eq!(valid.out, "7 objects are valid, 3 queries can be planned\n");
    let page = output(&["man", "worker"]).await;
    assert!(
        page.ok && page.out.contains("\\-\\-database\\-url"),
        "{}",
        page.out
    );
    let script = output(&["completion", "bash"]).await;
    assert!(script.ok && script.out.contains("--database-url"));
}

#[tokio::test]
async fn a_data_folder_has_one_system_which_is_found_by_its_kubeconfig() {
    let folder = crate::system::folder();
    let data_dir = folder.path().join("data");
    let up = || {
        let mut up = ark();
        up.args(["up", "--workers", "0", "--data-dir"])
            .arg(&data_dir);
        up
    };
    let mut first = crate::system::Process::start("up", folder.path(), &mut up()).await;
    let second = up().output().await.unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(
        said.contains("already") && said.contains("kubeconfig"),
        "{said}"
    );
    let status = ark()
        .arg("status")
        .env("KUBECONFIG", data_dir.join("kubeconfig"))
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(text.contains("no worker with slots is alive"), "{text}");
    first.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(first.wait().await.success());
}

/// The first line says why, and no patience is spent on hiding it.
#[tokio::test]
async fn a_database_that_is_not_there_is_told_with_the_cause() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://ark@{}/ark", free.local_addr().unwrap());
    drop(free);
    let status = output(&["status", "--database-url", &url]).await;
    assert!(!status.ok);
    assert!(status.err.contains("refused"), "{}", status.err);
}
