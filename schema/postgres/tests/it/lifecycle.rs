//! Start, use, stop, start again.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use ark_postgres::{Choice, Options, Server};

use crate::sql::{query, value};
use crate::{options, temporary};

/// Also run by `accounts` as an ordinary user when the tests run as root.
#[tokio::test]
async fn data_and_url_last_across_a_restart() {
    let dir = temporary();
    let server = Server::start(options(dir.path())).await.unwrap();
    let url = server.url().to_owned();
    assert!(!server.adopted());
    query(
        &url,
        "CREATE TABLE kept (line text); INSERT INTO kept VALUES ('äöü 漢字')",
    )
    .unwrap();
    let pid = server.pid();
    server.stop().await.unwrap();
    assert!(query(&url, "SELECT 1").is_err(), "the server is gone");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!socket_dir(&url).exists(), "nothing is left behind");

    let again = Server::start(options(dir.path())).await.unwrap();
    assert_eq!(again.url(), url, "clients find a restarted server again");
    assert_ne!(again.pid(), pid);
    assert_eq!(value(&url, "SELECT line FROM kept"), "äöü 漢字");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_is_private_and_set_up_for_the_queue() {
    let dir = temporary();
    let mut options = options(dir.path());
    options.settings.push(("work_mem".into(), "5MB".into()));
    options
        .settings
        .push(("max_connections".into(), "123".into()));
    let server = Server::start(options).await.unwrap();
    let url = server.url();
    let meta = std::fs::metadata(socket_dir(url)).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o700);
    for (setting, wanted) in [
        ("listen_addresses", ""),
        ("wal_level", "logical"),
        ("max_connections", "123"),
        ("work_mem", "5MB"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("data_checksums", "on"),
    ] {
        assert_eq!(value(url, &format!("SHOW {setting}")), wanted, "{setting}");
    }
    let sorted = "SELECT string_agg(v, '' ORDER BY v) FROM (VALUES ('b'),('a'),('B'),('ä')) t(v)";
    assert_eq!(value(url, sorted), "Babä", "byte order");
    assert_eq!(value(url, "SELECT current_user"), "ark");
    server.stop().await.unwrap();
}

/// As root the long folder is closed for the server's user besides.
#[test]
fn a_temporary_folder_that_cannot_hold_a_socket_is_no_hindrance() {
    let dir = temporary();
    let long = dir.path().join("d".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::data_and_url_last_across_a_restart"])
        .env("TMPDIR", &long)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[tokio::test]
async fn dropping_stops_it() {
    let dir = temporary();
    let server = Server::start(options(dir.path())).await.unwrap();
    let url = server.url().to_owned();
    drop(server);
    assert!(query(&url, "SELECT 1").is_err());
    assert!(!dir.path().join("postgres/postmaster.pid").exists());
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing_running() {
    let dir = temporary();
    let mut bad = options(dir.path());
    bad.settings.push(("shared_buffers".into(), "lots".into()));
    let error = Server::start(bad).await.unwrap_err().to_string();
    assert!(
        error.contains("shared_buffers") && error.contains("postgres.log"),
        "{error}"
    );
    let server = Server::start(options(dir.path())).await.unwrap();
    assert!(!server.adopted());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_older_folder_is_refused_with_a_remedy() {
    let dir = temporary();
    std::fs::create_dir(dir.path().join("postgres")).unwrap();
    std::fs::write(dir.path().join("postgres/PG_VERSION"), "13\n").unwrap();
    let error = Server::start(options(dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("PostgreSQL 13") && error.contains("--data-dir"),
        "{error}"
    );

    std::fs::write(dir.path().join("postgres/PG_VERSION"), "99\n").unwrap();
    let error = Server::start(options(dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("install PostgreSQL 99"), "{error}");
    let installed = Options {
        choice: Choice::Installed,
        ..options(dir.path())
    };
    let error = Server::start(installed).await.unwrap_err().to_string();
    assert!(error.contains("--postgres download"), "{error}");
}

fn socket_dir(url: &str) -> &Path {
    let (_, host) = url.split_once("host=").unwrap();
    Path::new(host.split('&').next().unwrap())
}
