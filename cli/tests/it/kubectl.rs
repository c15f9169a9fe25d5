//! What people type: kubectl against `ark up`.

use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::system::{PATIENCE, Process, ark, database, folder};

const SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {token: abc}
"#;
const MODEL: &str = r#"
apiVersion: ark.mckinsey.com/v1alpha1
kind: Model
metadata: {name: default}
spec:
  provider: openai
  model: {value: gpt}
  config:
    openai:
      baseUrl: {value: "http://127.0.0.1:1/v1"}
      apiKey: {valueFrom: {secretKeyRef: {name: key, key: token}}}
"#;
const AGENT: &str = r#"
apiVersion: ark.mckinsey.com/v1alpha1
kind: Agent
metadata: {name: a, labels: {tier: x}}
spec: {prompt: be brief}
"#;
const QUERY: &str = r#"
apiVersion: ark.mckinsey.com/v1alpha1
kind: Query
metadata: {name: q1, labels: {app: x}}
spec:
  input: hello
  target: {type: agent, name: a}
"#;

/// `ark up` and a kubectl that knows it.
struct Up {
    process: Process,
    folder: tempfile::TempDir,
    _postgres: ark_postgres::Server,
}

impl Up {
    /// None, and a word about it, where there is no kubectl.
    async fn start(workers: &str) -> Option<Up> {
        let found = Command::new("kubectl")
            .args(["version", "--client"])
            .output()
            .await;
        if found.is_err() {
            println!("SKIPPED: kubectl is not installed");
            return None;
        }
        let folder = folder();
        let (postgres, url) = database(folder.path()).await;
        let data_dir = folder.path().join("up");
        let mut command = ark();
        command
            .args(["up", "--port", "0", "--provider", "mock"])
            .args(["--workers", workers, "--postgres-url", &url])
            .arg("--data-dir")
            .arg(&data_dir);
        let process = Process::start("up", folder.path(), &mut command).await;
        Some(Up {
            process,
            folder,
            _postgres: postgres,
        })
    }

    fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(args)
            .env("KUBECONFIG", self.folder.path().join("up/kubeconfig"))
            .env("HOME", self.folder.path())
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn output(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.kubectl(args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Commands that read nothing may be gone before it is written.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
        output.await.expect("kubectl ends").unwrap()
    }

    /// What a command that must succeed prints.
    async fn run(&self, command: &str) -> String {
        self.run_with(command, "").await
    }

    /// The same with an input.
    async fn run_with(&self, command: &str, input: &str) -> String {
        let args: Vec<&str> = command.split(' ').collect();
        let output = self.output(&args, input).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {command}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that must fail says.
    async fn fail(&self, command: &str, input: &str) -> String {
        let args: Vec<&str> = command.split(' ').collect();
        let output = self.output(&args, input).await;
        assert!(!output.status.success(), "kubectl {command} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn stop(mut self) {
        self.process.signal(Signal::SIGTERM);
        assert!(self.process.wait().await.success());
    }
}

fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines();
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}

/// These commands send protobuf and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn core_kinds_are_created_and_described() {
    let Some(up) = Up::start("0").await else {
        return;
    };
    for (command, printed) in [
        (
            "create secret generic s1 --from-literal=a=b",
            "secret/s1 created\n",
        ),
        (
            "create configmap c1 --from-literal=a=b --from-literal=empty=",
            "configmap/c1 created\n",
        ),
        ("create namespace team", "namespace/team created\n"),
        (
            "create serviceaccount builder",
            "serviceaccount/builder created\n",
        ),
        ("auth can-i create queries.ark.mckinsey.com", "yes\n"),
        (
            "create role reader --verb=get,list --resource=secrets",
            "role.rbac.authorization.k8s.io/reader created\n",
        ),
        (
            "create rolebinding readers --role=reader --serviceaccount=default:builder",
            "rolebinding.rbac.authorization.k8s.io/readers created\n",
        ),
        (
            "create service clusterip web --tcp=80:8080",
            "service/web created\n",
        ),
        ("label configmap c1 a=b", "configmap/c1 labeled\n"),
        ("get secret s1 -o jsonpath={.type}:{.data.a}", "Opaque:Yg=="),
        (
            "get configmap c1 -o jsonpath={.data.a}:{.data.empty}:{.metadata.labels.a}",
            "b::b",
        ),
        (
            "get service web -o jsonpath={.spec.ports[0].targetPort}",
            "8080",
        ),
        (
            "get rolebinding readers -o jsonpath={.subjects[0].name}",
            "builder",
        ),
    ] {
        assert_eq!(up.run(command).await, printed, "{command}");
    }
    for (command, row) in [
        ("describe secret s1", vec!["a:", "1", "bytes"]),
        ("describe configmap c1", vec!["b"]),
        ("describe namespace team", vec!["Status:", "Active"]),
        ("describe serviceaccount builder", vec!["Name:", "builder"]),
        ("describe service web", vec!["TargetPort:", "8080/TCP"]),
        (
            "describe role reader",
            vec!["secrets", "[]", "[]", "[get", "list]"],
        ),
        ("auth whoami", vec!["Username", "ark"]),
        ("auth can-i --list", vec!["*.*", "[]", "[]", "[*]"]),
        ("get namespaces", vec!["team", "Active"]),
    ] {
        let printed = up.run(command).await;
        let found = rows(&printed).iter().any(|r| r.starts_with(&row));
        assert!(found, "{command}: {row:?} in\n{printed}");
    }
    let token = up.run("create token builder --duration=10m").await;
    let as_builder = format!("--token={}", token.trim());
    let output = up
        .output(&["auth", "whoami", "-o", "json", &as_builder], "")
        .await;
    let me: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        me["status"]["userInfo"]["username"],
        "system:serviceaccount:default:builder"
    );

    lists_of_core_kinds(&up).await;
    up.run("create configmap kept -n team").await;
    let refused = up.fail("delete namespace team", "").await;
    assert!(refused.contains("1 configmaps"), "{refused}");
    up.run("delete configmap kept -n team").await;
    assert_eq!(
        up.run("delete namespace team").await,
        "namespace \"team\" deleted\n"
    );
    up.stop().await;
}

/// kubectl changes lists of core kinds by strategic merge patches.
async fn lists_of_core_kinds(up: &Up) {
    let service = |ports: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: api}}\nspec: {{ports: [{ports}]}}\n"
        )
    };
    let (web, old, new) = (
        "{name: web, port: 80}",
        "{name: old, port: 81}",
        "{name: new, port: 82}",
    );
    up.run_with("apply -f -", &service(&format!("{web}, {old}")))
        .await;
    let changed = up
        .run_with("apply -f -", &service(&format!("{new}, {web}")))
        .await;
    assert_eq!(changed, "service/api configured\n");
    let ports = up
        .run("get service api -o jsonpath={.spec.ports[*].name}")
        .await;
    assert_eq!(ports, "new web");
    let patch = r#"patch serviceaccount builder -p {"imagePullSecrets":[{"name":"s1"}]}"#;
    assert_eq!(up.run(patch).await, "serviceaccount/builder patched\n");
    let explained = up.run("explain service.spec.ports").await;
    assert!(explained.contains("targetPort"), "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_applied_shown_changed_and_deleted() {
    let Some(up) = Up::start("0").await else {
        return;
    };
    let resources = up.run("api-resources").await;
    for row in [
        vec!["queries", "ark.mckinsey.com/v1alpha1", "true", "Query"],
        vec![
            "a2aservers",
            "ark.mckinsey.com/v1prealpha1",
            "true",
            "A2AServer",
        ],
        vec!["serviceaccounts", "sa", "v1", "true", "ServiceAccount"],
        vec!["events", "ev", "events.k8s.io/v1", "true", "Event"],
    ] {
        assert!(rows(&resources).contains(&row), "{row:?} in\n{resources}");
    }
    let explained = up.run("explain query.spec.target").await;
    assert!(explained.contains("FIELD: target"), "{explained}");

    let everything = [SECRET, MODEL, AGENT, QUERY].join("---");
    assert_eq!(
        up.run_with("apply -f -", &everything).await,
        "secret/key created\nmodel.ark.mckinsey.com/default created\n\
         agent.ark.mckinsey.com/a created\nquery.ark.mckinsey.com/q1 created\n"
    );
    let unchanged = up.run_with("apply -f -", QUERY).await;
    assert_eq!(unchanged, "query.ark.mckinsey.com/q1 unchanged\n");
    assert_eq!(up.run_with("diff -f -", QUERY).await, "");
    let changed = QUERY.replace("hello", "other");
    let dry = up.run_with("apply --dry-run=server -f -", &changed).await;
    assert_eq!(
        dry,
        "query.ark.mckinsey.com/q1 configured (server dry run)\n"
    );
    let configured = up.run_with("apply -f -", &changed).await;
    assert_eq!(configured, "query.ark.mckinsey.com/q1 configured\n");
    let replaced = up.run_with("replace -f -", QUERY).await;
    assert_eq!(replaced, "query.ark.mckinsey.com/q1 replaced\n");
    let old = up.fail("apply --server-side -f -", QUERY).await;
    assert!(
        old.starts_with("error: Server-side apply not available")
            || old.starts_with("Server-side apply not available"),
        "{old}"
    );

    let table = up.run("get queries -o wide").await;
    assert_eq!(
        rows(&table)[0],
        ["NAME", "TYPE", "PHASE", "DURATION", "AGE"]
    );
    for (command, printed) in [
        ("get query q1 -o name", "query.ark.mckinsey.com/q1\n"),
        (
            "get queries -A -l app=x -o name",
            "query.ark.mckinsey.com/q1\n",
        ),
        (
            "get queries --field-selector metadata.name=q1 -o name",
            "query.ark.mckinsey.com/q1\n",
        ),
        (
            "get agents,models --chunk-size=1 -o name",
            "agent.ark.mckinsey.com/a\nmodel.ark.mckinsey.com/default\n",
        ),
        (
            "label query q1 foo=bar",
            "query.ark.mckinsey.com/q1 labeled\n",
        ),
        (
            "annotate query q1 foo=bar",
            "query.ark.mckinsey.com/q1 annotated\n",
        ),
        (
            r#"patch query q1 --type=merge -p {"spec":{"input":"m"}}"#,
            "query.ark.mckinsey.com/q1 patched\n",
        ),
        (
            r#"patch query q1 --type=json -p [{"op":"replace","path":"/spec/input","value":"j"}]"#,
            "query.ark.mckinsey.com/q1 patched\n",
        ),
        (
            "get query q1 -o jsonpath={.metadata.labels.foo}:{.metadata.annotations.foo}:{.spec.input}",
            "bar:bar:j",
        ),
        ("delete query nope --ignore-not-found", ""),
    ] {
        assert_eq!(up.run(command).await, printed, "{command}");
    }
    let mut edit = up.kubectl(&["edit", "query", "q1"]);
    edit.env("EDITOR", "sed -i 's/input: j/input: edited/'");
    assert!(edit.output().await.unwrap().status.success());
    let input = up.run("get query q1 -o jsonpath={.spec.input}").await;
    assert_eq!(input, "edited");
    refusals(&up).await;
    events(&up).await;

    assert_eq!(
        up.run("delete queries --all").await,
        "query.ark.mckinsey.com \"q1\" deleted\n"
    );
    let missing = up.fail("get query q1", "").await;
    assert_eq!(
        missing,
        "Error from server (NotFound): queries.ark.mckinsey.com \"q1\" not found\n"
    );
    up.stop().await;
}

async fn refusals(up: &Up) {
    let unknown = QUERY.replace("input: hello", "inputt: zzz\n  input: hello");
    for (command, input, said) in [
        (
            "create -f -",
            unknown.as_str(),
            "strict decoding error: unknown field \"spec.inputt\"",
        ),
        (
            "create -f -",
            QUERY,
            "queries.ark.mckinsey.com \"q1\" already exists",
        ),
        (
            r#"patch query q1 -p {"spec":{"input":"s"}}"#,
            "",
            "application/strategic-merge-patch+json is not supported",
        ),
        (
            "get queries --field-selector spec.input=q1",
            "",
            "field label not supported: spec.input",
        ),
        ("scale query q1 --replicas=2", "", "not found"),
        (
            "apply -f -",
            &QUERY.replace("name: a", "name: nobody"),
            "\"nobody\" does not exist",
        ),
    ] {
        let error = up.fail(command, input).await;
        assert!(error.contains(said), "{command}: {error}");
    }
    let warned = up
        .output(
            &["create", "--validate=warn", "--dry-run=server", "-f", "-"],
            &unknown.replace("q1", "q2"),
        )
        .await;
    let warning = String::from_utf8(warned.stderr).unwrap();
    assert_eq!(warning, "Warning: unknown field \"spec.inputt\"\n");
}

/// `describe` shows the Events of the object, found by its kind, namespace, name and uid.
async fn events(up: &Up) {
    let uid = up.run("get query q1 -o jsonpath={.metadata.uid}").await;
    let event = |name: &str, uid: &str, message: &str| {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
            "involvedObject": {"apiVersion": "ark.mckinsey.com/v1alpha1", "kind": "Query", "namespace": "default",
                "name": "q1", "uid": uid},
            "type": "Normal", "reason": "Noted", "message": message, "source": {"component": "somebody"},
            "firstTimestamp": "2026-11-21T10:00:00Z", "lastTimestamp": "2026-11-21T10:00:00Z", "count": 1,
        });
        event.to_string()
    };
    up.run_with("create -f -", &event("e1", &uid, "of this one"))
        .await;
    up.run_with("create -f -", &event("e2", "of-another", "of another"))
        .await;
    let described = up.run("describe query q1").await;
    assert!(described.contains("Input:  edited"), "{described}");
    let events = described.split("Events:").nth(1).unwrap();
    assert!(
        events.contains("Noted")
            && events.contains("of this one")
            && !events.contains("of another"),
        "{described}"
    );
    let listed = up
        .run("get events.events.k8s.io e1 -o jsonpath={.note}")
        .await;
    assert_eq!(listed, "of this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_waited_for_and_watched() {
    let Some(up) = Up::start("1").await else {
        return;
    };
    up.run_with("apply -f -", &[SECRET, MODEL, AGENT].join("---"))
        .await;
    let mut watching = up
        .kubectl(&["get", "queries", "-w", "--output-watch-events"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    up.run_with("apply -f -", QUERY).await;
    let waited = up
        .run("wait --for=jsonpath={.status.phase}=done query/q1 --timeout=60s")
        .await;
    assert_eq!(waited, "query.ark.mckinsey.com/q1 condition met\n");
    up.run("delete query q1").await;
    let seen = tokio::time::timeout(Duration::from_secs(60), async {
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            seen.push(line);
            if seen.last().unwrap().starts_with("DELETED") {
                break;
            }
        }
        seen
    });
    let seen = seen.await.expect("the watch shows the deletion");
    let printed = seen.join("\n");
    let shown = rows(&printed);
    assert_eq!(shown[0][..3], ["EVENT", "NAME", "TYPE"]);
    assert!(
        shown
            .iter()
            .any(|row| row.starts_with(&["MODIFIED", "q1", "user", "done"])),
        "{printed}"
    );
    watching.kill().await.unwrap();
    up.stop().await;
}
