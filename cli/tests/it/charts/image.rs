//! The image that the charts run; nothing here builds it.

use std::path::Path;

use serde_json::Value;

use super::{DATABASE, ROOT, helm, named, template, text};

#[test]
fn the_image_is_built_by_the_compiler_of_the_project() {
    let read = |path: &str| std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split('"').nth(1).expect("a channel");
    let dockerfile = read("deploy/Dockerfile");
    assert!(dockerfile.contains(&format!("ARG RUST_VERSION={version}\n")));
    for line in dockerfile.lines().filter(|line| line.starts_with("FROM ")) {
        let image = line.split_whitespace().nth(1).unwrap();
        assert!(
            image.contains(':') && !image.contains("latest"),
            "{line} is not pinned"
        );
    }
}

#[test]
fn the_image_runs_ark_as_nobody() {
    let dockerfile = std::fs::read_to_string(format!("{ROOT}/deploy/Dockerfile")).unwrap();
    let stages: Vec<&str> = dockerfile.split("\nFROM ").collect();
    let last = stages.last().unwrap();
    assert!(last.starts_with("gcr.io/distroless/") && dockerfile.contains("RUNTIME_TAG=nonroot"));
    for line in [
        "USER 65532:65532",
        "ENTRYPOINT [\"/usr/local/bin/ark\"]",
        "STOPSIGNAL SIGTERM",
    ] {
        assert!(last.lines().any(|found| found == line), "{line}");
    }
    assert!(!last.contains("\nRUN "), "there is no shell");
    let build = stages[1];
    for part in ["SQLX_OFFLINE=true", "--network=none", "--locked --offline"] {
        assert!(build.contains(part), "{part}");
    }
}

#[tokio::test]
async fn pods_run_as_the_user_of_the_image() {
    let Some(helm) = helm().await else { return };
    let objects = template(helm, "ark-controller", DATABASE).await.unwrap();
    for name in ["ark-controller", "ark-worker"] {
        let deployment = named(&objects, "Deployment", name);
        let user = deployment.pointer("/spec/template/spec/securityContext/runAsUser");
        assert_eq!(user.and_then(Value::as_u64), Some(65532), "{name}");
    }
}

/// Cargo reads the workspace from what Docker would be sent.
#[test]
fn the_context_of_the_image_holds_the_workspace() {
    let root = Path::new(ROOT).canonicalize().unwrap();
    let ignored = std::fs::read_to_string(root.join("deploy/Dockerfile.dockerignore")).unwrap();
    assert!(ignored.starts_with("*\n"), "nothing but what is named");
    let context = tempfile::tempdir().unwrap();
    for name in ignored.lines().filter_map(|line| line.strip_prefix('!')) {
        let from = root.join(name);
        assert!(from.exists(), "{name} is not there");
        std::os::unix::fs::symlink(from, context.path().join(name)).unwrap();
    }
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    assert!(targets.into_iter().any(|target| target["name"] == "ark"));
    // The statements are checked against what is committed, since a build has no database.
    assert!(context.path().join("schema/store/.sqlx").is_dir());
}
