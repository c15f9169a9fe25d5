//! As root, the server is somebody else's; as an ordinary user it is one's own.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use ark_postgres::{Error, Server};
use nix::unistd::{User, chown, geteuid};

use crate::sql::value;
use crate::{options, temporary};

#[tokio::test]
async fn as_root_the_server_runs_as_postgres_or_nobody() {
    if !geteuid().is_root() {
        println!("SKIPPED: needs root");
        return;
    }
    // What `mktemp -d` makes: closed for everybody but root.
    let dir = temporary();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(dir.path().join("key"), "secret").unwrap();
    std::fs::set_permissions(dir.path().join("key"), PermissionsExt::from_mode(0o600)).unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let expected = ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).unwrap())
        .unwrap();
    let process = std::fs::metadata(format!("/proc/{}", server.pid())).unwrap();
    assert_eq!(process.uid(), expected.uid.as_raw());
    assert_eq!(value(server.url(), "SELECT 1"), "1");
    let root = std::fs::metadata(dir.path()).unwrap();
    assert_eq!(
        (root.uid(), root.mode() & 0o777),
        (0, 0o711),
        "open for passing, no more"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn as_root_an_existing_folders_owner_runs_it_unless_that_is_root() {
    if !geteuid().is_root() {
        println!("SKIPPED: needs root");
        return;
    }
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let dir = temporary();
    let cluster = dir.path().join("postgres");
    std::fs::create_dir(&cluster).unwrap();
    chown(&cluster, Some(nobody.uid), Some(nobody.gid)).unwrap();
    let server = Server::start(options(dir.path())).await.unwrap();
    let process = std::fs::metadata(format!("/proc/{}", server.pid())).unwrap();
    assert_eq!(process.uid(), nobody.uid.as_raw());
    server.stop().await.unwrap();

    // As after unpacking a backup.
    let all = Command::new("chown")
        .args(["-R", "0:0"])
        .arg(&cluster)
        .status();
    assert!(all.unwrap().success());
    let server = Server::start(options(dir.path())).await.unwrap();
    let process = std::fs::metadata(format!("/proc/{}", server.pid())).unwrap();
    assert_ne!(process.uid(), 0);
    assert_eq!(value(server.url(), "SELECT 1"), "1");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn as_root_a_closed_way_is_named() {
    if !geteuid().is_root() {
        println!("SKIPPED: needs root");
        return;
    }
    let closed = temporary();
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let error = Server::start(options(&closed.path().join("data")))
        .await
        .unwrap_err();
    let Error::Unreachable { blocked, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(blocked, &closed.path().canonicalize().unwrap());
    assert!(error.to_string().contains("chmod o+x"));
}

/// Runs `lifecycle`'s first test in a process of `nobody`, which then is the server's user itself.
#[tokio::test]
async fn an_ordinary_user_needs_nothing_of_root() {
    if !geteuid().is_root() {
        println!("SKIPPED: needs root (the other tests just ran as an ordinary user)");
        return;
    }
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let home = temporary();
    chown(home.path(), Some(nobody.uid), Some(nobody.gid)).unwrap();
    // The target folder may be closed for others.
    let program = home.path().join("it");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "lifecycle::data_and_url_last_across_a_restart"])
        .uid(nobody.uid.as_raw())
        .gid(nobody.gid.as_raw())
        .env("HOME", home.path())
        // What this process uses may be closed for others, too.
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
