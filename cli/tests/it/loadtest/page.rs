//! The page on load tests, as a reader would type it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::system::ark;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The lines after `$ ` in the console blocks, as one script that stops at the first error.
fn script(page: &str) -> String {
    let commands = page.lines().filter_map(|line| line.strip_prefix("$ "));
    let script: String = commands.map(|command| format!("{command}\n")).collect();
    format!("PS4='+ \\t '\nset -e -o pipefail -x\n{script}")
}

/// The YAML blocks that begin with a comment `# NAME.yaml`, by that name.
fn files(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = page.split("```yaml\n# ").skip(1);
    blocks.filter_map(|block| block.split("```").next()?.split_once('\n'))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_load_tests_works_as_it_stands() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/LOADTEST.md")).unwrap();
    let folder = crate::system::folder();
    let link = |from: &Path, name: &str| {
        std::os::unix::fs::symlink(from, folder.path().join(name)).unwrap();
    };
    link(
        &Path::new(ROOT).join("loadtest").canonicalize().unwrap(),
        "loadtest",
    );
    link(Path::new(env!("CARGO_BIN_EXE_ark")), "ark");
    for (name, text) in files(&page) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let clean = ark();
    let removed = clean.as_std().get_envs().map(|(name, _)| name.to_owned());
    let path = std::env::var("PATH").unwrap();
    let mut bash = tokio::process::Command::new("bash");
    removed.for_each(|name| {
        bash.env_remove(name);
    });
    let child = bash
        .arg("-c")
        .arg(script(&page))
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("ARK_METRICS_ADDR", "127.0.0.1:0")
        .env("ARK_PORT", "0")
        .env_remove("KUBECONFIG")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    let status = tokio::time::timeout(Duration::from_secs(300), finish(child, group)).await;
    let (success, text) = status.unwrap_or_else(|_| {
        killpg(group, Signal::SIGKILL).ok();
        panic!("the page's commands take too long");
    });
    assert!(success, "{text}");
    println!("{text}");
    for name in ["burst", "steady", "ramp", "brown-out"] {
        let html = std::fs::read_to_string(folder.path().join(format!("{name}.html"))).unwrap();
        assert!(html.contains("<svg ") && html.contains("passed"), "{name}");
    }
    assert!(text.contains("kill -9 $(cat worker.pid)"), "{text}");
}

/// Waits for the script, and ends what it left running: `ark up` in order, so that its database stops, too.
async fn finish(mut child: tokio::process::Child, group: Pid) -> (bool, String) {
    use tokio::io::AsyncReadExt;
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let reading = tokio::spawn(async move {
        let (mut text, mut errors) = (String::new(), String::new());
        tokio::try_join!(
            out.read_to_string(&mut text),
            err.read_to_string(&mut errors)
        )
        .unwrap();
        text + &errors
    });
    let status = child.wait().await.unwrap();
    killpg(group, Signal::SIGTERM).ok();
    (status.success(), reading.await.unwrap())
}
