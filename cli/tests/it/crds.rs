//! The same line on a real Kubernetes server that has our CRDs and nothing else.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::system::{System, ark, database, folder, model};

const ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/oracle");

async fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("version")
        .arg("--client")
        .output()
        .await
        .is_ok()
}

/// A Kubernetes custom-resource server without any CRD; `None`, and a word about it, where it cannot be run.
async fn reference_server(folder: &Path) -> Option<(Child, PathBuf)> {
    for (program, missing) in [
        ("go", !is_there("go").await),
        ("kubectl", !is_there("kubectl").await),
    ] {
        if missing {
            println!("SKIPPED: the reference server needs {program}");
            return None;
        }
    }
    if !Path::new(ORACLE).exists() {
        println!("SKIPPED: the reference server is not there");
        return None;
    }
    let binary = std::env::temp_dir().join("ark-reference-server");
    let built = Command::new("go")
        .args(["build", "-C", ORACLE, "-o"])
        .arg(&binary)
        .arg(".")
        .status()
        .await
        .unwrap();
    assert!(built.success(), "the reference server is built");
    // Somebody else may take one of its ports before it does.
    for attempt in 0..5 {
        let dir = folder.join(format!("reference-{attempt}"));
        if let Some(server) = start_reference(&binary, &dir).await {
            return Some((server, dir.join("kubeconfig-reference")));
        }
    }
    panic!("the reference server does not start")
}

/// The server when it answers; `None` if it ends before.
async fn start_reference(binary: &Path, dir: &Path) -> Option<Child> {
    let mut server = Command::new(binary)
        .arg("--dir")
        .arg(dir)
        .args(["--crds=", "--port", &free_ports().to_string()])
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let kubeconfig = dir.join("kubeconfig-reference");
    let answers = async {
        loop {
            let asked = kubectl(&kubeconfig)
                .args(["get", "--raw", "/apis"])
                .output()
                .await
                .unwrap();
            if asked.status.success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        _ = server.wait() => None,
        answered = tokio::time::timeout(Duration::from_secs(120), answers) => {
            answered.expect("the reference server answers");
            Some(server)
        }
    }
}

/// The first of four free ports in a row, below those that the system gives to everybody who asks for any.
fn free_ports() -> u16 {
    let start = u16::try_from(RandomState::new().build_hasher().finish() % 10_000).unwrap();
    (20_000 + start..32_000)
        .find(|port| (*port..port + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()))
        .expect("four free ports")
}

fn kubectl(kubeconfig: &Path) -> Command {
    let mut command = Command::new("kubectl");
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

async fn apply_crds(kubeconfig: &Path) {
    let crds = ark().arg("crds").output().await.unwrap().stdout;
    let mut apply = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["apply", "--server-side", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    apply.stdin.take().unwrap().write_all(&crds).await.unwrap();
    assert!(
        apply.wait().await.unwrap().success(),
        "a real server takes our CRDs"
    );
    let established = kubectl(kubeconfig)
        .args([
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            "--all",
        ])
        .stdout(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(established.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_holds_on_plain_crds() {
    let folder = folder();
    let Some((_server, kubeconfig)) = reference_server(folder.path()).await else {
        return;
    };
    apply_crds(&kubeconfig).await;
    let (postgres, url) = database(folder.path()).await;
    let mut system = System::on(
        folder,
        Some(postgres),
        url,
        kubeconfig,
        None,
        Duration::from_secs(1),
        Vec::new(),
    )
    .await;
    system.create(model(None)).await;
    system.create_agent().await;
    system.start_worker().await;

    let inputs = system.ask_many(20, "crd", "turns=3").await;
    let uids: Vec<String> = inputs.keys().cloned().collect();
    let in_flight = system.until_in_flight(10).await;
    system.workers[0].kill().await;
    system.start_worker().await;
    system.ended(&uids, 20).await;
    system.assert_answered(&inputs);
    let repeated = system.repeated_calls();
    assert!(
        repeated <= in_flight.max(20),
        "{repeated} calls were repeated, {in_flight} were in flight"
    );
}
