//! The tutorial, as a reader would type it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::system::ark;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The lines after `$ ` in the console blocks before the chapter on clusters, as one script that stops at the first error.
fn script(page: &str) -> String {
    let laptop = page.split("## In a cluster").next().unwrap();
    let commands = laptop.lines().filter_map(|line| line.strip_prefix("$ "));
    let header = "set -e -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";
    let script: String = commands
        .map(|command| format!("echo '+' {}\n{command}\n", quote(command)))
        .collect();
    format!("{header}{script}")
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[tokio::test]
async fn the_tutorial_works_as_it_stands() {
    if std::process::Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_err()
    {
        println!("SKIPPED: the tutorial needs kubectl");
        return;
    }
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/TUTORIAL.md")).unwrap();
    let folder = crate::system::folder();
    std::os::unix::fs::symlink(
        Path::new(ROOT).join("examples").canonicalize().unwrap(),
        folder.path().join("examples"),
    )
    .unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ark"), bin.join("ark")).unwrap();
    let clean = ark();
    let removed = clean
        .as_std()
        .get_envs()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name.to_owned());
    let mut bash = tokio::process::Command::new("bash");
    removed.for_each(|name| {
        bash.env_remove(name);
    });
    let run = bash
        .arg("-c")
        .arg(script(&page))
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .env("ARK_METRICS_ADDR", "127.0.0.1:0")
        .env_remove("KUBECONFIG")
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(Duration::from_secs(180), run)
        .await
        .expect("it ends")
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("no worker with slots is alive"), "{text}");
    assert!(text.contains("mock answer"), "{text}");
}
