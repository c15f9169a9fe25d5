//! The Helm charts of deploy/, as helm renders them.

mod access;
mod documents;
mod image;
mod pages;
mod pods;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
pub const HELM: &str = "v3.19.5";
pub const DATABASE: &[&str] = &[
    "--set=global.storage.postgresql.host=db.example.com",
    "--set=global.storage.postgresql.user=ark",
];

/// Helm on the path, else one of a pinned version, built once per target folder; `None`, and a word about it, without Go.
pub async fn helm() -> Option<&'static Path> {
    static FOUND: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let found = FOUND.get_or_init(async || {
        if runs(Path::new("helm"), "version").await {
            return Some(PathBuf::from("helm"));
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("helm-{HELM}"));
        let helm = folder.join("helm");
        if !runs(&helm, "version").await {
            if !runs(Path::new("go"), "version").await {
                return None;
            }
            let built = Command::new("go")
                .args(["install", &format!("helm.sh/helm/v3/cmd/helm@{HELM}")])
                .env("GOBIN", &folder)
                .env("GOFLAGS", "")
                .current_dir(std::env::temp_dir())
                .output()
                .await
                .unwrap();
            assert!(
                built.status.success(),
                "helm cannot be built: {}",
                text(&built.stderr)
            );
        }
        Some(helm)
    });
    let helm = found.await.as_deref();
    if helm.is_none() {
        println!("SKIPPED: rendering the charts needs helm, or Go to build it");
    }
    helm
}

pub async fn runs(program: &Path, argument: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What helm prints, or what it complains of.
pub async fn run_helm(helm: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(helm)
        .args(args)
        .args(["--kube-version", "1.34.0"])
        .current_dir(ROOT)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// All documents of a chart, rendered for a release in ark-system.
pub async fn template(helm: &Path, chart: &str, args: &[&str]) -> Result<Vec<Value>, String> {
    let chart = format!("deploy/charts/{chart}");
    let mut all = vec!["template", "ark", &chart, "--namespace", "ark-system"];
    all.extend(args);
    let rendered = run_helm(helm, &all).await?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&rendered).expect("helm prints YAML");
    Ok(documents
        .into_iter()
        .filter(|object| !object.is_null())
        .collect())
}

pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["kind"] == kind).collect()
}

pub fn named(objects: &[Value], kind: &str, name: &str) -> Value {
    let found = of_kind(objects, kind)
        .into_iter()
        .find(|object| object["metadata"]["name"] == name);
    found
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
        .clone()
}

pub fn pod_spec(object: &Value) -> PodSpec {
    serde_json::from_value(object["spec"]["template"]["spec"].clone()).unwrap()
}

pub fn environment(container: &Container) -> BTreeMap<String, String> {
    let variables = container.env.clone().unwrap_or_default();
    let pairs: Vec<(String, String)> = variables
        .into_iter()
        .map(|variable| (variable.name, variable.value.unwrap_or_default()))
        .collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a variable is set twice: {pairs:?}");
    map
}
