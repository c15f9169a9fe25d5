//! The Deployments that the charts describe, run by hand: processes with their arguments, environment and probes.

mod database_roles;
mod operations;
mod proxy;
mod rights;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, PodSpec, Probe};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::charts::{DATABASE, environment, helm, named, pod_spec, template, text};
use crate::system::{PATIENCE, Process, System, ark};

/// A container's command with the values of this machine in place of the cluster's: addresses, and the Secret's file.
fn command(container: &Container, system: &System, kubeconfig: &Path) -> Command {
    let mut variables: HashMap<String, String> = environment(container).into_iter().collect();
    let password = system.folder.path().join("password");
    std::fs::write(&password, "not-a-password\n").unwrap();
    // A socket needs no password; with a host in the URL, the one of the file is read and put in all the same.
    let url = system.url.replacen(":///", "://localhost/", 1);
    let mut put = |name: &str, of_the_chart: &str, here: &str| {
        let before = variables.insert(name.to_owned(), here.to_owned());
        assert_eq!(before.as_deref(), Some(of_the_chart), "{name}");
    };
    put(
        "ARK_DATABASE_URL",
        "postgresql://ark@db.example.com:5432/ark?sslmode=require",
        &url,
    );
    put(
        "ARK_DATABASE_PASSWORD_FILE",
        "/etc/ark/database/password",
        password.to_str().unwrap(),
    );
    if variables.contains_key("ARK_METRICS_ADDR") {
        variables.insert("ARK_METRICS_ADDR".to_owned(), "127.0.0.1:0".to_owned());
    }
    let mut command = ark();
    let args = container.args.clone().unwrap();
    // Nothing but what the chart says, and nowhere to write; in a pod, Kubernetes gives the service account, here a file does.
    command
        .args(args)
        .env_clear()
        .envs(variables)
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", "/nonexistent")
        .env("TMPDIR", "/nonexistent");
    command
}

/// Waits until the probe succeeds at the address that the process has logged.
async fn until_it_succeeds(probe: &Probe, name: &str, system: &System) {
    let log = system.folder.path().join(format!("{name}.log"));
    let log = std::fs::read_to_string(log).unwrap();
    let (_, rest) = log.split_once("metrics and health at http://").unwrap();
    let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap();
    let path = probe.http_get.as_ref().unwrap().path.clone().unwrap();
    let url = format!("http://{}{path}", &rest[..end]);
    let succeeds = async || {
        let answer = reqwest::get(&url).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    tokio::time::timeout(PATIENCE, async {
        while !succeeds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{name}: {url} never succeeds"));
}

/// A Deployment of the charts, its pods as processes.
struct Deployment {
    name: &'static str,
    pod: PodSpec,
    pods: Vec<Process>,
    started: usize,
    kubeconfig: PathBuf,
}

impl Deployment {
    fn of(system: &System, objects: &[Value], name: &'static str) -> Deployment {
        Deployment {
            name,
            pod: pod_spec(&named(objects, "Deployment", name)),
            pods: Vec::new(),
            started: 0,
            kubeconfig: system.kubeconfig.clone(),
        }
    }

    /// Starts a pod; it counts when it is alive and ready.
    async fn start_one(&mut self, system: &System) {
        self.started += 1;
        let name = format!("{}-{}", self.name, self.started);
        let container = &self.pod.containers[0];
        let mut command = command(container, system, &self.kubeconfig);
        let process = Process::start(&name, system.folder.path(), &mut command).await;
        for probe in [&container.startup_probe, &container.readiness_probe] {
            until_it_succeeds(probe.as_ref().unwrap(), &name, system).await;
        }
        self.pods.push(process);
    }

    /// What `kubectl exec` with `ark status` says in a pod.
    async fn status(&self, system: &System) -> Value {
        let mut container = self.pod.containers[0].clone();
        let args = ["status", "--output", "json"];
        container.args = Some(args.map(str::to_owned).to_vec());
        let mut command = command(&container, system, &self.kubeconfig);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Stops the oldest pods, as Kubernetes does: SIGTERM, and no longer than the grace period.
    async fn stop(&mut self, count: usize) {
        let mut stopped: Vec<Process> = self.pods.drain(..count).collect();
        let grace = u64::try_from(self.pod.termination_grace_period_seconds.unwrap()).unwrap();
        stopped.iter().for_each(|pod| pod.signal(Signal::SIGTERM));
        for pod in &mut stopped {
            let ended = tokio::time::timeout(Duration::from_secs(grace), pod.wait()).await;
            let status = ended.expect("it ends before Kubernetes would kill it");
            assert!(status.success(), "a pod that is told to stop ends in order");
        }
    }

    async fn scale(&mut self, system: &System, replicas: usize) {
        while self.pods.len() < replicas {
            self.start_one(system).await;
        }
        self.stop(self.pods.len() - replicas).await;
    }

    /// A rolling update with no pod unavailable: one more of the new ones, then one less of the old ones.
    async fn roll_to(&mut self, system: &System, objects: &[Value]) {
        self.pod = pod_spec(&named(objects, "Deployment", self.name));
        for _ in 0..self.pods.len() {
            self.start_one(system).await;
            self.stop(1).await;
        }
    }
}

/// What the chart ark-controller, which brings the workers along, describes with so many slots for each worker.
async fn charts(system: &System, slots: usize) -> Option<Vec<Value>> {
    let helm = helm().await?;
    let mock = format!(
        "--set=global.secretNamespaces={{default}},ark-worker.slots={slots},ark-worker.drain=1m,ark-worker.provider=mock,ark-worker.mockUrl={}",
        system.provider.url()
    );
    let rendered = template(helm, "ark-controller", &[DATABASE, &[&mock]].concat()).await;
    Some(rendered.unwrap())
}

/// The hook before each install and upgrade.
async fn migrate(system: &System, objects: &[Value]) {
    let job = pod_spec(&named(objects, "Job", "ark-controller-migrate"));
    let mut command = command(&job.containers[0], system, &system.kubeconfig);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The dispatchers of the chart in place of the one that the system came with.
async fn dispatchers(system: &mut System, objects: &[Value]) -> Deployment {
    system.dispatcher.kill().await;
    let mut dispatchers = Deployment::of(system, objects, "ark-controller");
    dispatchers.scale(system, 2).await;
    dispatchers
}

fn uids(inputs: &HashMap<String, String>) -> Vec<String> {
    inputs.keys().cloned().collect()
}

fn ended(system: &System, inputs: &HashMap<String, String>) -> usize {
    let seen = system.seen.lock().unwrap();
    inputs.keys().filter(|uid| seen.contains_key(*uid)).count()
}

/// Sets what each answer of the provider takes.
async fn set_latency(system: &System, ms: u64) {
    let url = format!("http://{}/admin/latency", system.provider.addr);
    let body = serde_json::json!({"ms": ms});
    let set = reqwest::Client::new().post(url).json(&body).send().await;
    assert!(set.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rendered_workers_scale_under_load_and_lose_nothing() {
    let mut system = System::start(Duration::from_millis(300), 0).await;
    let Some(objects) = charts(&system, 10).await else {
        return;
    };
    migrate(&system, &objects).await;
    let dispatchers = dispatchers(&mut system, &objects).await;
    let mut workers = Deployment::of(&system, &objects, "ark-worker");

    let inputs = system.ask_many(400, "chart", "turns=2").await;
    let uids = uids(&inputs);
    workers.scale(&system, 1).await;
    system.ended(&uids, 20).await;
    // Of 400 with two calls each, eight workers of ten slots can answer 40 a second.
    set_latency(&system, 1000).await;
    workers.scale(&system, 8).await;
    let status = dispatchers.status(&system).await;
    let seen = status["workers"].as_array().unwrap().iter();
    assert_eq!(seen.filter(|worker| worker["slots"] == 10).count(), 8);
    system.ended(&uids, 100).await;
    let asked = Instant::now();
    workers.scale(&system, 0).await;
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "a drain waits for what runs only"
    );
    assert_eq!(system.in_flight().await, 0, "nobody works");
    assert!(ended(&system, &inputs) < 400, "there was load all the time");
    set_latency(&system, 50).await;
    workers.scale(&system, 2).await;
    system.ended(&uids, 400).await;
    system.assert_answered(&inputs);
    assert_eq!(system.repeated_calls(), 0, "no committed step is repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_under_load_loses_nothing() {
    // Three workers of ten slots answer 15 a second.
    let mut system = System::start(Duration::from_secs(1), 0).await;
    let Some(old) = charts(&system, 10).await else {
        return;
    };
    let mut dispatchers = dispatchers(&mut system, &old).await;
    let mut workers = Deployment::of(&system, &old, "ark-worker");
    workers.scale(&system, 3).await;

    let mut inputs = system.ask_many(250, "before", "turns=2").await;
    system.ended(&uids(&inputs), 20).await;
    let new = charts(&system, 12).await.unwrap();
    migrate(&system, &new).await;
    let rolls = async {
        tokio::join!(
            dispatchers.roll_to(&system, &new),
            workers.roll_to(&system, &new)
        )
    };
    let (_, during) = tokio::join!(rolls, system.ask_many(150, "during", "turns=2"));
    inputs.extend(during);
    assert!(ended(&system, &inputs) < 400, "there was load all the time");
    set_latency(&system, 50).await;
    system.ended(&uids(&inputs), 400).await;
    system.assert_answered(&inputs);
    assert_eq!(system.repeated_calls(), 0, "no committed step is repeated");
}
