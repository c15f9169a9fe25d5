//! The commands that people use, as kubectl sends them.

use std::process::{Command, Output, Stdio};

use crate::harness::{Api, query, start};

const MODEL: &str = r#"
apiVersion: ark.mckinsey.com/v1alpha1
kind: Model
metadata: {name: m, labels: {tier: a}}
spec:
  provider: openai
  model: {value: gpt}
  config:
    openai:
      baseUrl: {value: "http://127.0.0.1:1/v1"}
      apiKey: {valueFrom: {secretKeyRef: {name: key, key: token}}}
"#;
const SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {token: abc}
"#;
const QUERY: &str = r#"
apiVersion: ark.mckinsey.com/v1alpha1
kind: Query
metadata: {name: q1}
spec:
  input: hello
  target: {type: model, name: m}
"#;

struct Kubectl {
    kubeconfig: String,
    home: tempfile::TempDir,
}

impl Kubectl {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.home.path());
        command
    }

    async fn output(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        let file = self.home.path().join("input.yaml");
        std::fs::write(&file, input).unwrap();
        command.stdin(Stdio::from(std::fs::File::open(&file).unwrap()));
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// What a command that must succeed prints.
    async fn run(&self, args: &[&str]) -> String {
        self.run_with(args, "").await
    }

    async fn run_with(&self, args: &[&str], input: &str) -> String {
        let output = self.output(args, input).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that must fail prints.
    async fn fail(&self, args: &[&str], input: &str) -> String {
        let output = self.output(args, input).await;
        assert!(!output.status.success(), "kubectl {args:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn kubectl(api: &Api) -> Option<Kubectl> {
    let found = Command::new("kubectl")
        .args(["version", "--client"])
        .output();
    if found.is_err() {
        println!("SKIPPED: kubectl is not installed");
        return None;
    }
    Some(Kubectl {
        kubeconfig: api.kubeconfig.display().to_string(),
        home: tempfile::tempdir().unwrap(),
    })
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_finds_and_explains_the_kinds() {
    let api = start().await;
    let Some(kubectl) = kubectl(&api) else {
        return;
    };
    let resources = kubectl.run(&["api-resources"]).await;
    for row in [
        vec!["queries", "ark.mckinsey.com/v1alpha1", "true", "Query"],
        vec![
            "arkconfigs",
            "ark.mckinsey.com/v1alpha1",
            "false",
            "ArkConfig",
        ],
        vec![
            "a2aservers",
            "ark.mckinsey.com/v1prealpha1",
            "true",
            "A2AServer",
        ],
        vec!["configmaps", "cm", "v1", "true", "ConfigMap"],
        vec!["leases", "coordination.k8s.io/v1", "true", "Lease"],
    ] {
        assert!(lines(&resources).contains(&row), "{row:?} in\n{resources}");
    }
    let explained = kubectl.run(&["explain", "query.spec"]).await;
    assert!(
        explained.contains("GROUP:      ark.mckinsey.com"),
        "{explained}"
    );
    assert!(explained.contains("input"), "{explained}");
    let explained = kubectl.run(&["explain", "agent.spec.tools"]).await;
    assert!(explained.contains("FIELD: tools"), "{explained}");
    let version = kubectl.run(&["version"]).await;
    assert!(version.contains("Server Version: v1.33.0"), "{version}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_shows_changes_and_deletes() {
    let api = start().await;
    let Some(kubectl) = kubectl(&api) else {
        return;
    };
    let applied = kubectl
        .run_with(&["apply", "-f", "-"], &[SECRET, MODEL, QUERY].join("---"))
        .await;
    assert_eq!(
        applied,
        "secret/key created\nmodel.ark.mckinsey.com/m created\nquery.ark.mckinsey.com/q1 created\n"
    );
    let again = kubectl.run_with(&["apply", "-f", "-"], QUERY).await;
    assert_eq!(again, "query.ark.mckinsey.com/q1 unchanged\n");
    let edited = QUERY.replace("input: hello", "input: other");
    let changed = kubectl.run_with(&["apply", "-f", "-"], &edited).await;
    assert_eq!(changed, "query.ark.mckinsey.com/q1 configured\n");
    let secret = SECRET.replace("abc", "def");
    let changed = kubectl.run_with(&["apply", "-f", "-"], &secret).await;
    assert_eq!(changed, "secret/key configured\n");
    let encoded = kubectl
        .run(&["get", "secret", "key", "-o", "jsonpath={.data.token}"])
        .await;
    assert_eq!(encoded, "ZGVm");

    let table = kubectl.run(&["get", "queries"]).await;
    let table = lines(&table);
    assert_eq!(table[0], ["NAME", "TYPE", "PHASE", "DURATION", "AGE"]);
    assert_eq!(table[1][0], "q1");
    let yaml = kubectl.run(&["get", "query", "q1", "-o", "yaml"]).await;
    assert!(yaml.contains("  input: other\n"), "{yaml}");
    let names = kubectl
        .run(&["get", "models", "-l", "tier=a", "-o", "name"])
        .await;
    assert_eq!(names, "model.ark.mckinsey.com/m\n");
    let described = kubectl.run(&["describe", "query", "q1"]).await;
    assert!(
        described.contains("Input:  other") && described.contains("Events:"),
        "{described}"
    );

    kubectl.run(&["label", "query", "q1", "tier=b"]).await;
    kubectl.run(&["annotate", "query", "q1", "note=x"]).await;
    kubectl
        .run(&[
            "patch",
            "query",
            "q1",
            "--type=merge",
            "-p",
            r#"{"spec":{"cancel":true}}"#,
        ])
        .await;
    let json_patch = r#"[{"op":"replace","path":"/spec/input","value":"j"}]"#;
    kubectl
        .run(&["patch", "query", "q1", "--type=json", "-p", json_patch])
        .await;
    let path = "jsonpath={.metadata.labels.tier} {.metadata.annotations.note} {.spec.cancel} {.spec.input}";
    assert_eq!(
        kubectl.run(&["get", "query", "q1", "-o", path]).await,
        "b x true j"
    );
    let refused = kubectl
        .fail(
            &["patch", "query", "q1", "-p", r#"{"spec":{"input":"s"}}"#],
            "",
        )
        .await;
    assert!(
        refused.contains("application/merge-patch+json"),
        "{refused}"
    );

    let deleted = kubectl.run(&["delete", "query", "q1"]).await;
    assert!(
        deleted.contains("query.ark.mckinsey.com \"q1\" deleted"),
        "{deleted}"
    );
    let missing = kubectl.fail(&["get", "query", "q1"], "").await;
    assert_eq!(
        missing,
        "Error from server (NotFound): queries.ark.mckinsey.com \"q1\" not found\n"
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_edits_with_an_editor() {
    let api = start().await;
    let Some(kubectl) = kubectl(&api) else {
        return;
    };
    api.create_model().await;
    api.create(crate::harness::QUERIES, query("q1")).await;
    let mut command = kubectl.command(&["edit", "query", "q1"]);
    command.env("EDITOR", "sed -i 's/input: hello/input: edited/'");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let input = kubectl
        .run(&["get", "query", "q1", "-o", "jsonpath={.spec.input}"])
        .await;
    assert_eq!(input, "edited");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_about_unknown_fields() {
    let api = start().await;
    let Some(kubectl) = kubectl(&api) else {
        return;
    };
    api.create_model().await;
    let wrong = QUERY.replace("input: hello", "input: hello\n  inputt: zzz");
    let refused = kubectl.fail(&["create", "-f", "-"], &wrong).await;
    assert!(
        refused.contains("strict decoding error: unknown field \"spec.inputt\""),
        "{refused}"
    );
    let warned = kubectl
        .output(&["create", "--validate=warn", "-f", "-"], &wrong)
        .await;
    assert!(warned.status.success());
    let warned = String::from_utf8(warned.stderr).unwrap();
    assert_eq!(warned, "Warning: unknown field \"spec.inputt\"\n");
    let dry = kubectl
        .run_with(
            &["create", "--dry-run=server", "-f", "-", "-o", "name"],
            &QUERY.replace("q1", "q2"),
        )
        .await;
    assert_eq!(dry, "query.ark.mckinsey.com/q2\n");
    assert_eq!(
        api.get(&format!("{}/q2", crate::harness::QUERIES)).await.0,
        404
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_and_watches() {
    let api = start().await;
    let Some(kubectl) = kubectl(&api) else {
        return;
    };
    api.create_model().await;
    api.create(crate::harness::QUERIES, query("q1")).await;
    let mut waiting = kubectl.command(&[
        "wait",
        "--for=jsonpath={.status.phase}=done",
        "query/q1",
        "--timeout=60s",
    ]);
    let waiting = waiting.stdout(Stdio::piped()).spawn().unwrap();
    let file = kubectl.home.path().join("watched");
    let mut watching = kubectl
        .command(&["get", "queries", "-w"])
        .stdout(std::fs::File::create(&file).unwrap())
        .spawn()
        .unwrap();
    // Until the watch has shown what there is, a change would come with the list.
    until(|| std::fs::read_to_string(&file).unwrap().contains("q1")).await;
    let status = r#"{"status":{"phase":"done"}}"#;
    kubectl
        .run(&[
            "patch",
            "query",
            "q1",
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        ])
        .await;
    let waited = tokio::task::spawn_blocking(|| waiting.wait_with_output().unwrap())
        .await
        .unwrap();
    assert!(waited.status.success());
    until(|| std::fs::read_to_string(&file).unwrap().contains("done")).await;
    watching.kill().unwrap();
    watching.wait().unwrap();
    api.stop().await;
}

/// Looks until the condition holds; fails the test after half a minute.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..300 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the condition did not come true");
}
