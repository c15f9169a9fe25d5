//! `ark loadtest` against real processes.

mod benchmark;
mod page;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::system::{System, ark};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/scenarios");

/// What a run left behind.
struct Ran {
    code: Option<i32>,
    text: String,
    errors: String,
    summary: Value,
    html: String,
}

impl Ran {
    fn of(output: Output, files: &Files) -> Ran {
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        Ran {
            code: output.status.code(),
            summary: serde_json::from_str(&read(&files.json)).unwrap_or_default(),
            html: read(&files.html),
            text,
            errors,
        }
    }

    fn value(&self, metric: &str, aggregate: &str) -> f64 {
        let value = &self.summary["metrics"][metric][aggregate];
        let missing = || {
            panic!(
                "{metric} has no {aggregate}:\n{}\n{}",
                self.text, self.errors
            )
        };
        value.as_f64().unwrap_or_else(missing)
    }

    /// The slices of the run between two times, in seconds.
    fn course(&self, from: f64, to: f64) -> impl Iterator<Item = &Value> {
        let slices = self.summary["course"].as_array().unwrap().iter();
        slices.filter(move |slice| (from..to).contains(&slice["at"].as_f64().unwrap()))
    }

    fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.text, self.errors);
    }

    /// The report has lines over time, and loads nothing from elsewhere.
    fn assert_plots(&self, at_least: usize) {
        let plots = self.html.matches("<svg ").count();
        assert!(plots >= at_least, "{plots} plots");
        let lines = self.html.matches("<path class=\"line").count();
        assert!(lines >= plots, "{lines} lines in {plots} plots");
        let drawn = self.html.split("<path class=\"line").skip(1);
        let longest = drawn.map(|path| path.split("</path>").next().unwrap().matches('L').count());
        assert!(longest.max() > Some(5), "no line has points");
        assert!(!self.html.contains("http://") && !self.html.contains("src="));
    }
}

struct Files {
    json: PathBuf,
    html: PathBuf,
}

impl Files {
    fn new(folder: &Path) -> Files {
        let number = std::fs::read_dir(folder).unwrap().count();
        Files {
            json: folder.join(format!("{number}.json")),
            html: folder.join(format!("{number}.html")),
        }
    }
}

fn command(system: &System, scenario: &Path, files: &Files) -> tokio::process::Command {
    let mut command = ark();
    command
        .arg("loadtest")
        .arg(scenario)
        .arg("--kubeconfig")
        .arg(&system.kubeconfig)
        .args(["--database-url", &system.url])
        .args(["--provider-url", &system.provider.url()])
        .arg("--summary-export")
        .arg(&files.json)
        .arg("--html")
        .arg(&files.html);
    command
}

async fn run(system: &System, scenario: &Path, variables: &[&str]) -> Ran {
    let files = Files::new(system.folder.path());
    let mut command = command(system, scenario, &files);
    for variable in variables {
        command.args(["-e", variable]);
    }
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
    Ran::of(output.expect("the run ends").unwrap(), &files)
}

async fn shipped(system: &System, name: &str, variables: &[&str]) -> Ran {
    run(system, &Path::new(SCENARIOS).join(name), variables).await
}

/// Nothing that a run made is there any more.
async fn assert_removed(system: &System) {
    let queries = system.queries().list(&Default::default()).await.unwrap();
    assert_eq!(queries.items.len(), 0);
    for path in [
        "/apis/ark.mckinsey.com/v1alpha1/namespaces/loadtest/agents/loadtest",
        "/api/v1/namespaces/loadtest",
    ] {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let answer = system.client.request::<Value>(request).await;
        assert!(
            matches!(&answer, Err(kube::Error::Api(status)) if status.code == 404),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_ramps_and_brown_outs_are_measured_and_leave_nothing() {
    let system = System::start(Duration::ZERO, 1).await;

    let burst = [
        "BASE=5",
        "CALM=2s",
        "PEAK=60",
        "BURST=2s",
        "AFTER=2s",
        "P95=30000",
    ];
    let ran = shipped(&system, "burst.yaml", &burst).await;
    ran.assert_code(0);
    for part in [
        "█ THRESHOLDS",
        "✓ 'rate==0' rate=0.00%",
        "█ TOTAL RESULTS",
        "checks_succeeded...: 100.00%",
        "✓ the right answer",
        "p(95)=",
    ] {
        assert!(
            ran.text.contains(part),
            "{part} is missing in\n{}",
            ran.text
        );
    }
    // 5/s for 2 s, 60/s for 2 s, 5/s for 2 s.
    assert_eq!(ran.value("iterations", "count"), 140.0);
    assert_eq!(ran.value("checks", "passes"), 280.0);
    assert!(
        ran.value("query_duration", "min") >= 250.0,
        "the provider takes 250 ms"
    );
    assert!(ran.value("query_duration", "med") >= ran.value("iteration_duration", "min"));
    assert!(ran.value("queue_running", "max") >= 1.0);
    assert_eq!(
        ran.summary["metrics"]["query_failed"]["thresholds"]["rate==0"]["ok"],
        true
    );
    ran.assert_plots(6);
    assert_removed(&system).await;

    let ramp = ["PEAK=40", "UP=4s", "HOLD=1s", "DOWN=1s", "MEDIAN=1"];
    let ran = shipped(&system, "ramp.yaml", &ramp).await;
    ran.assert_code(99);
    assert!(ran.text.contains("✗ 'med<1' med="), "{}", ran.text);
    assert!(
        ran.errors.contains("query_duration med<1"),
        "{}",
        ran.errors
    );
    // 1 to 40 a second over 4 s, 40 a second for 1 s, down to 0 in 1 s.
    assert_eq!(ran.value("iterations", "count"), 142.0);
    ran.assert_plots(6);

    let brown_out = ["RATE=20", "DURATION=8s", "FROM=2s", "TO=5s", "MEDIAN=20000"];
    let ran = shipped(&system, "brown-out.yaml", &brown_out).await;
    ran.assert_code(0);
    let medians = |from, to| {
        let slices = ran.course(from, to);
        slices.filter_map(|slice| slice["med"].as_f64())
    };
    let slowest = medians(2.0, 5.0).fold(0.0, f64::max);
    assert!(
        slowest >= 1_500.0,
        "answers took 1.5 s within, not {slowest}"
    );
    let fastest = medians(0.0, 2.0).fold(f64::INFINITY, f64::min);
    assert!(
        fastest < 1_500.0,
        "answers took 0.2 s before, not {fastest}"
    );
    assert!(
        ran.text.contains("faults {\"share\":0.5,\"status\":503}"),
        "{}",
        ran.text
    );
    assert_eq!(
        ran.html.matches("class=\"mark\"").count() % 3,
        0,
        "each plot over time shows the events"
    );
    ran.assert_plots(6);
    let faults = reqwest::get(format!("http://{}/admin/latency", system.provider.addr)).await;
    let pace: Value = serde_json::from_str(&faults.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(pace["ms"], 0.0, "the provider is as it was before: {pace}");
    assert_removed(&system).await;
}

/// A generator that waits for a slow system must not hide how long its users would have waited.
const SATURATED: &str = "
scenarios:
  open:
    executor: constant-arrival-rate
    rate: 20
    duration: 3s
    maxVUs: 2
    gracefulStop: 1s
    exec: {target: {type: agent, name: a}, input: 'Question {{.iter}}'}
  closed:
    executor: per-vu-iterations
    vus: 3
    iterations: 4
    exec: {target: {type: agent, name: a}, input: 'User {{.vu}}, question {{.iter}}'}
    tags: {kind: closed}
thresholds:
  query_duration{kind:closed}: ['max<3000']
  dropped_iterations: ['count==0']
  checks{check:impossible}: ['rate==0']
checks:
  impossible: {contains: no answer says this}
events:
  - {at: 0s, admin: {latency: {ms: 500}}}
  - {at: 1s, command: ['false']}
";

#[tokio::test(flavor = "multi_thread")]
async fn latency_counts_from_the_intended_start_and_lost_rates_are_told() {
    let system = System::start(Duration::ZERO, 1).await;
    let scenario = system.folder.path().join("saturated.yaml");
    std::fs::write(&scenario, SATURATED).unwrap();
    let ran = run(&system, &scenario, &[]).await;
    ran.assert_code(99);
    // Two VUs answer 4 of 20 a second: within 4 s some 14 of 60, each later than the one before.
    let open = "query_duration";
    let (felt, worked) = (
        ran.value(open, "max"),
        ran.value("iteration_duration", "max"),
    );
    assert!(
        felt > worked + 1_000.0,
        "{felt} ms and {worked} ms\n{}",
        ran.text
    );
    assert!(ran.value("start_delay", "max") > 1_500.0, "{}", ran.text);
    let dropped = ran.value("dropped_iterations", "count");
    assert!(dropped > 20.0, "{dropped} dropped");
    let late = ran.value("late_iterations", "count");
    assert!(late >= 2.0, "{late} late");
    assert!(ran.text.contains("did not keep its rate"), "{}", ran.text);
    // Three users with four questions each, none of them late.
    assert_eq!(ran.value("query_duration{kind:closed}", "count"), 12.0);
    assert_eq!(
        ran.value("iterations", "count") + dropped + interrupted(&ran),
        60.0 + 12.0
    );
    let failed = &ran.summary["events"][1];
    assert!(
        failed["problem"].as_str().unwrap().contains("exit status"),
        "{failed}"
    );
    assert_removed(&system).await;
}

fn interrupted(ran: &Ran) -> f64 {
    let reasons = ran.summary["notDone"].as_array().unwrap().iter();
    let interrupted = reasons.filter(|reason| reason["phase"] == "interrupted");
    interrupted
        .map(|reason| reason["count"].as_f64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_sums_up_and_cleans_up() {
    let system = System::start(Duration::from_secs(30), 1).await;
    let files = Files::new(system.folder.path());
    let scenario = Path::new(SCENARIOS).join("brown-out.yaml");
    let mut command = command(&system, &scenario, &files);
    command
        .args(["-e", "RATE=5"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    system.until_in_flight(3).await;
    kill(pid, Signal::SIGINT).unwrap();
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let ran = Ran::of(output.expect("the run ends").unwrap(), &files);
    ran.assert_code(105);
    assert!(ran.text.contains("the run was interrupted"), "{}", ran.text);
    assert_eq!(ran.summary["state"]["interrupted"], true);
    assert_removed(&system).await;
}

#[tokio::test]
async fn a_scenario_that_no_run_could_do_is_refused_before_anything_is_touched() {
    let folder = crate::system::folder();
    let scenario = folder.path().join("wrong.yaml");
    std::fs::write(&scenario, SATURATED.replace("maxVUs", "maxUsers")).unwrap();
    let output = ark().arg("loadtest").arg(&scenario).output().await.unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("wrong.yaml") && errors.contains("maxUsers"),
        "{errors}"
    );
}
