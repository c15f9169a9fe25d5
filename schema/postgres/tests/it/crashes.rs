//! What kill -9 leaves behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ark_postgres::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::sql::{query, value};
use crate::{lasting, options, temporary};

/// Names the folder on which `owner_process` starts a server.
const OWNED: &str = "ARK_TEST_OWNED_FOLDER";

/// Not a test of its own: the process that the others kill. Its parent holds its standard input.
#[tokio::test]
async fn owner_process() {
    let Some(folder) = std::env::var_os(OWNED) else {
        return;
    };
    let server = Server::start(options(Path::new(&folder))).await.unwrap();
    println!("started {} {}", server.pid(), server.url());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Another process with a server of its own.
struct Owner {
    process: Child,
    pid: i32,
    url: String,
}

impl Owner {
    fn start(folder: &Path) -> Owner {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashes::owner_process", "--nocapture"])
            .env(OWNED, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        // The test harness may print the test's name on the same line before.
        let line = out
            .lines()
            .map(Result::unwrap)
            .find(|line| line.contains("started "))
            .expect("the owner says what it started");
        let (_, found) = line.split_once("started ").unwrap();
        let (pid, url) = found.split_once(' ').unwrap();
        Owner {
            process,
            pid: pid.parse().unwrap(),
            url: url.to_owned(),
        }
    }

    /// Kills the process, not the server; the server's pid and URL.
    fn kill(mut self) -> (i32, String) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        (self.pid, self.url)
    }
}

#[tokio::test]
async fn the_next_start_adopts_an_orphan_and_owns_it() {
    let Some(dir) = lasting() else {
        println!("SKIPPED: the target folder is below a temporary or closed one");
        return;
    };
    let (pid, url) = Owner::start(dir.path()).kill();
    assert_eq!(value(&url, "SELECT 1"), "1", "it outlives its owner");
    let heir = Server::start(options(dir.path())).await.unwrap();
    assert!(heir.adopted());
    assert_eq!((heir.pid(), heir.url()), (pid, url.as_str()));
    heir.stop().await.unwrap();
    assert!(query(&url, "SELECT 1").is_err(), "the heir stopped it");
}

#[tokio::test]
async fn an_orphan_on_a_temporary_folder_ends_with_the_next_start_anywhere() {
    let abandoned = temporary();
    let (_, url) = Owner::start(abandoned.path()).kill();
    let elsewhere = temporary();
    let server = Server::start(options(elsewhere.path())).await.unwrap();
    // Another test's start may be the one that is stopping it at this moment.
    let pid_file = abandoned.path().join("postgres/postmaster.pid");
    wait_until("the orphan is gone", || !pid_file.exists()).await;
    assert!(query(&url, "SELECT 1").is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_orphan_that_somebody_uses_is_left_to_them() {
    let dir = temporary();
    let owner = Owner::start(dir.path());
    let user = Server::start(options(dir.path())).await.unwrap();
    let (pid, url) = owner.kill();
    let elsewhere = temporary();
    let other = Server::start(options(elsewhere.path())).await.unwrap();
    assert_eq!(value(&url, "SELECT 1"), "1", "no start elsewhere ends it");
    other.stop().await.unwrap();
    let heir = Server::start(options(dir.path())).await.unwrap();
    assert_eq!((heir.adopted(), heir.pid()), (true, pid));
    heir.stop().await.unwrap();
    assert_eq!(value(&url, "SELECT 1"), "1", "nor does an heir");
    user.stop().await.unwrap();
    Server::start(options(dir.path()))
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    assert!(query(&url, "SELECT 1").is_err(), "the last one does");
}

#[tokio::test]
async fn committed_data_survive_a_kill_of_the_whole_server() {
    let dir = temporary();
    let server = Server::start(options(dir.path())).await.unwrap();
    let (pid, url) = (server.pid(), server.url().to_owned());
    query(&url, "CREATE TABLE kept AS SELECT 42 AS n").unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    wait_until("the killed server is gone", || {
        query(&url, "SELECT 1").is_err()
    })
    .await;
    assert!(
        dir.path().join("postgres/postmaster.pid").exists(),
        "it is stale"
    );

    let again = Server::start(options(dir.path())).await.unwrap();
    assert!(!again.adopted());
    assert_eq!(value(again.url(), "SELECT n FROM kept"), "42");
    drop(server);
    assert_eq!(
        value(again.url(), "SELECT 1"),
        "1",
        "the dead one's owner stops nothing else"
    );
    again.stop().await.unwrap();
}

/// After a restart of a container the old server's pid is often somebody else's.
#[tokio::test]
async fn a_stale_pid_that_is_now_a_strangers_is_no_server() {
    let dir = temporary();
    let server = Server::start(options(dir.path())).await.unwrap();
    let pid_file = dir.path().join("postgres/postmaster.pid");
    let left = std::fs::read_to_string(&pid_file).unwrap();
    server.stop().await.unwrap();

    // As root the server runs as another user; only a process of that user is a hard case.
    let mut stranger = stranger(&dir);
    let (_, rest) = left.split_once('\n').unwrap();
    std::fs::write(&pid_file, format!("{}\n{rest}", stranger.id())).unwrap();
    let again = Server::start(options(dir.path())).await.unwrap();
    assert!(!again.adopted());
    assert_eq!(value(again.url(), "SELECT 1"), "1");
    assert!(
        stranger.try_wait().unwrap().is_none(),
        "nobody signalled it"
    );
    again.stop().await.unwrap();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// A process of the user that owns the cluster, which is no Postgres.
fn stranger(dir: &TempDir) -> Child {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let owner = std::fs::metadata(dir.path().join("postgres")).unwrap();
    let mut command = Command::new("sleep");
    command.arg("600").current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.spawn().unwrap()
}

async fn wait_until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, waiting)
        .await
        .unwrap_or_else(|_| panic!("not within {limit:?}: {what}"));
}
