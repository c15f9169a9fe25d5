//! docs/OPERATIONS.md as an operator would type it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::charts::{ROOT, text};
use crate::system::{PATIENCE, Process, System, ark};

pub fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("docs/OPERATIONS.md")).unwrap()
}

/// The fenced blocks of a language.
fn fenced(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// The commands of a part of the page, each on one line.
pub fn commands(part: &str) -> Vec<String> {
    let lines = fenced(part, "console").concat().replace("\\\n", " ");
    let commands = lines.lines().filter_map(|line| line.strip_prefix("$ "));
    commands.map(str::to_owned).collect()
}

/// As the page says: what Deployments, pods, nodes or Leases are part of, and the tools that install.
fn needs_a_cluster(command: &str) -> bool {
    let tool = ["helm ", "docker "];
    let about = ["deployment", "pod", "lease", "crd", "job/", "logs -l"];
    tool.iter().any(|tool| command.starts_with(tool))
        || about.iter().any(|word| command.contains(word))
        // Rights are asked for on behalf of service accounts, which needs impersonation.
        || command.contains("--as=")
}

/// What an administrator of the database does; another test does it.
fn is_about_the_whole_database(command: &str) -> bool {
    ["psql -d postgres", "pg_dump ", "pg_restore "]
        .iter()
        .any(|start| command.starts_with(start))
}

/// A shell in which the page's commands find our program, the database and the API.
pub fn shell(system: &System, command: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_ark")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let socket = system.url.split("host=").nth(1).unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(system.folder.path())
        .env("PATH", path)
        .env("KUBECONFIG", &system.kubeconfig)
        .env("ARK_DATABASE_URL", &system.url)
        .env("PGHOST", socket.split('&').next().unwrap())
        .env("PGUSER", "ark")
        .env("EDITOR", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    shell
}

pub async fn type_in(system: &System, command: &str) -> String {
    let run = shell(system, command).output();
    let output = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{command}\n{errors}");
    text(&output.stdout)
}

/// Whether the tools of an operator are here.
pub async fn tools() -> bool {
    for tool in ["psql", "pg_dump", "kubectl"] {
        let asked = Command::new(tool).arg("--help").output().await;
        if asked.is_err() {
            println!("SKIPPED: the commands for operators need {tool}");
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_page_runs_or_needs_a_cluster() {
    if !tools().await {
        return;
    }
    let system = System::start(Duration::ZERO, 1).await;
    let asked = system.ask("first", "hello").await;
    system.ended(&[asked], 1).await;
    let page = page();
    let mut run = 0;
    for command in commands(&page) {
        if needs_a_cluster(&command) || is_about_the_whole_database(&command) {
            continue;
        }
        // The namespace is there already.
        let command = command.replace("create namespace ark-system", "get namespace ark-system");
        let command = command
            .replace("NAMESPACE", "default")
            .replace("query NAME", "query first")
            .replace("model NAME", "model default");
        type_in(&system, &command).await;
        run += 1;
    }
    assert!(run > 10, "{run} commands are run");
    let queries = fenced(&page, "sql");
    assert!(queries.len() > 10);
    for sql in queries {
        let command = format!("psql -X -v ON_ERROR_STOP=1 \"$ARK_DATABASE_URL\" <<'END'\n{sql}END");
        type_in(&system, &command).await;
    }
}

/// Waits until nobody but this question is connected.
async fn until_all_are_disconnected(system: &System) {
    let count = "psql -X -At -d postgres -c \"select count(*) from pg_stat_activity where datname = 'ark'\"";
    tokio::time::timeout(PATIENCE, async {
        while type_in(system, count).await.trim() != "0" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the connections of the dead are closed");
}

/// The API server on the port that its clients know.
async fn start_apiserver(system: &System) -> Process {
    let kubeconfig = std::fs::read_to_string(&system.kubeconfig).unwrap();
    let kubeconfig: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
    let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str();
    let port = server.unwrap().rsplit(':').next().unwrap();
    let mut command = ark();
    command
        .args(["apiserver", "--port", port, "--model-url-policy", "local"])
        .args(["--database-url", &system.url, "--data-dir"])
        .arg(system.kubeconfig.parent().unwrap());
    Process::start("apiserver-again", system.folder.path(), &mut command).await
}

async fn start_dispatcher(system: &System) -> Process {
    let mut command = ark();
    command
        .args([
            "dispatcher",
            "--leader-elect=false",
            "--authorization",
            "off",
        ])
        .args(["--database-url", &system.url, "--kubeconfig"])
        .arg(&system.kubeconfig);
    Process::start("dispatcher-again", system.folder.path(), &mut command).await
}

/// How many Queries have ended; each with an answer.
async fn answered(system: &System) -> usize {
    let queries = system.queries().list(&Default::default()).await.unwrap();
    let statuses = queries
        .items
        .iter()
        .map(|query| serde_json::to_value(&query.status).unwrap());
    let ended =
        statuses.filter(|status| ["done", "error"].iter().any(|end| status["phase"] == *end));
    ended
        .inspect(|status| assert_eq!(status["phase"], "done", "{status}"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_and_the_work_goes_on() {
    if !tools().await {
        return;
    }
    let page = page();
    let (_, part) = page.split_once("\n## Back up\n").unwrap();
    let part = part.split("\n## ").next().unwrap();
    let all = commands(part);
    let of_the_database: Vec<&String> = all
        .iter()
        .filter(|c| is_about_the_whole_database(c))
        .collect();
    let [dump, restore @ ..] = of_the_database.as_slice() else {
        panic!("no dump: {all:?}");
    };
    assert_eq!(restore.len(), 2);

    let mut system = System::start(Duration::from_secs(1), 1).await;
    let asked = system.ask_many(60, "saved", "turns=3").await;
    let uids: Vec<String> = asked.keys().cloned().collect();
    system.until_in_flight(20).await;
    type_in(&system, dump).await;
    // What is asked and answered after the dump is lost with the database.
    system.ended(&uids, 40).await;
    system.workers.pop().unwrap().kill().await;
    system.dispatcher.kill().await;
    system.apiserver.take().unwrap().kill().await;
    until_all_are_disconnected(&system).await;
    for command in restore {
        type_in(&system, command).await;
    }

    system.apiserver = Some(start_apiserver(&system).await);
    assert!(
        answered(&system).await < 60,
        "the dump is from before the end"
    );
    system.dispatcher = start_dispatcher(&system).await;
    system.start_worker().await;
    tokio::time::timeout(PATIENCE, async {
        while answered(&system).await < 60 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("all are answered in the end");
}
