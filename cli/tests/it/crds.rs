//! The same line on a real Kubernetes server that has our CRDs and nothing else.

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
    let dir = folder.join("reference");
    let port = free_ports();
    let log = std::fs::File::create(folder.join("reference.log")).unwrap();
    let server = Command::new(&binary)
        .arg("--dir")
        .arg(&dir)
        .args(["--crds=", "--port", &port.to_string()])
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let kubeconfig = dir.join("kubeconfig-reference");
    let ready = tokio::time::timeout(Duration::from_secs(120), async {
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
    });
    ready.await.expect("the reference server answers");
    Some((server, kubeconfig))
}

/// Four ports in a row of which the first is free; the server takes all four.
fn free_ports() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().min(65_000)
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
