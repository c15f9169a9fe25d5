//! The pinned release, fetched from the archive's repository.

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use ark_postgres::{Choice, Error, Options, Server};

use crate::sql::{query, value};
use crate::{cache, options, temporary};

/// Set in a process that has no way out.
const OFFLINE: &str = "ARK_TEST_OFFLINE";

/// The server, or `None` (and a word about it) where there is no network.
async fn start_downloaded(data_dir: &Path, cache: &Path) -> Option<Server> {
    let options = Options {
        choice: Choice::Download,
        cache_dir: Some(cache.to_owned()),
        ..options(data_dir)
    };
    match Server::start(options).await {
        Ok(server) => Some(server),
        Err(error @ Error::Download { .. }) => {
            assert!(error.to_string().contains("--postgres-url"), "{error}");
            println!("SKIPPED: no network: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_downloaded_release_runs_and_is_fetched_once() {
    let (dir, cache) = (temporary(), cache());
    let Some(server) = start_downloaded(dir.path(), &cache).await else {
        return;
    };
    assert!(value(server.url(), "SHOW server_version").starts_with("18.6"));
    // Logical decoding as the API server will use it.
    query(
        server.url(),
        "SELECT pg_create_logical_replication_slot('s', 'pgoutput'); \
         SELECT pg_drop_replication_slot('s')",
    )
    .unwrap();
    server.stop().await.unwrap();

    let before = fetched(&cache);
    let other = temporary();
    let again = start_downloaded(other.path(), &cache).await.unwrap();
    again.stop().await.unwrap();
    assert_eq!(fetched(&cache), before, "the second start fetched nothing");
}

/// The folder's version decides also against the choice of newer programs.
#[tokio::test]
async fn a_downloaded_folder_is_opened_by_its_own_version_later() {
    let (dir, cache) = (temporary(), cache());
    let Some(server) = start_downloaded(dir.path(), &cache).await else {
        return;
    };
    query(server.url(), "CREATE TABLE kept AS SELECT 7 AS n").unwrap();
    server.stop().await.unwrap();
    let auto = Options {
        cache_dir: Some(cache),
        ..options(dir.path())
    };
    let again = Server::start(auto).await.unwrap();
    assert!(value(again.url(), "SHOW server_version").starts_with("18."));
    assert_eq!(value(again.url(), "SELECT n FROM kept"), "7");
    again.stop().await.unwrap();
}

/// A folder outlives the installed server that made it.
#[tokio::test]
async fn an_installed_servers_folder_opens_with_the_downloaded_release_of_its_version() {
    let (dir, cache) = (temporary(), cache());
    let installed = Options {
        choice: Choice::Installed,
        ..options(dir.path())
    };
    let server = match Server::start(installed).await {
        Ok(server) => server,
        Err(error @ Error::NotInstalled { .. }) => return println!("SKIPPED: {error}"),
        Err(error) => panic!("{error}"),
    };
    let version = value(server.url(), "SHOW server_version");
    let major = version.split('.').next().unwrap();
    query(server.url(), "CREATE TABLE kept AS SELECT 7 AS n").unwrap();
    server.stop().await.unwrap();
    let Some(again) = start_downloaded(dir.path(), &cache).await else {
        return;
    };
    let found = value(again.url(), "SHOW server_version");
    assert!(found.starts_with(&format!("{major}.")), "{found}");
    assert_eq!(value(again.url(), "SELECT n FROM kept"), "7");
    again.stop().await.unwrap();
}

/// Not a test of its own: what the next one runs where no connection gets out.
#[tokio::test]
async fn process_without_network() {
    if std::env::var_os(OFFLINE).is_none() {
        return;
    }
    let (dir, cache) = (temporary(), temporary());
    let server = start_downloaded(dir.path(), cache.path()).await;
    assert!(server.is_none());
    let left = std::fs::read_dir(dir.path().join("postgres"));
    assert!(left.is_err(), "no half-made cluster");
    assert!(fetched(cache.path()).is_empty());
}

#[test]
fn without_network_the_remedy_is_named_soon() {
    let began = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "download::process_without_network",
            "--nocapture",
        ])
        .env(OFFLINE, "1")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("no network"),
        "{said}"
    );
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

/// The folders of the pinned release in the cache and when they came; a broken download would leave more names. Other
/// tests fetch other releases at the same time.
fn fetched(cache: &Path) -> Vec<(String, SystemTime)> {
    let mut names: Vec<_> = std::fs::read_dir(cache)
        .unwrap()
        .map(Result::unwrap)
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.metadata().unwrap().modified().unwrap())
        })
        .filter(|(name, _)| name.starts_with("postgresql-18."))
        .collect();
    names.sort();
    names
}
