//! The database goes away: results are kept, nobody dies of it, and what was paid for is written when it is back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ark_store::{ConnectOptions, Store};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, content, until};

const MINUTE: Duration = Duration::from_secs(60);

/// A socket in front of Postgres that can be cut.
struct Line {
    folder: tempfile::TempDir,
    up: watch::Sender<bool>,
}

impl Line {
    fn to(socket: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(socket.file_name().unwrap())).unwrap();
        let (up, state) = watch::channel(true);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, socket.clone(), state.clone()));
            }
        });
        Self { folder, up }
    }
}

async fn carry(mut client: UnixStream, socket: PathBuf, mut up: watch::Receiver<bool>) {
    if !*up.borrow_and_update() {
        return;
    }
    let mut server = UnixStream::connect(socket).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = up.changed() => {}
    }
}

/// The folder in the `host` of a socket URL.
fn socket_folder(url: &str) -> String {
    let host = url
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("host="))
        .unwrap();
    host.replace("%2F", "/")
}

#[tokio::test]
async fn results_wait_for_the_database() {
    let bench = Bench::new(Duration::from_secs(1)).await;
    let folder = socket_folder(&bench.url);
    let socket = std::fs::read_dir(Path::new(&folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.to_str().unwrap().contains(".s.PGSQL.")
                && path.extension().is_some_and(|end| end != "lock")
        })
        .unwrap();
    let line = Line::to(socket);
    let url = bench
        .url
        .replace(&folder, line.folder.path().to_str().unwrap());
    let store = Store::connect(&url, ConnectOptions::default())
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let run = ark_worker::run(
        bench.config(20),
        bench.kubernetes.client(),
        store,
        shutdown.clone(),
    );
    let worker = tokio::spawn(run);
    for number in 0..10 {
        let (name, text) = (format!("q{number}"), format!("turns=2 number {number}"));
        bench
            .ask(
                &name,
                bench.agent(vec![bench.tool("GET", "weather")]),
                &text,
                MINUTE,
            )
            .await;
    }
    until(async || bench.store.totals().await.unwrap().running == 10).await;
    line.up.send_replace(false);
    // Longer than the lease by the clock of the wall; the database's clock stands still without beats.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!((0..10).all(|number| bench.kubernetes.status(&format!("q{number}")).is_null()));
    line.up.send_replace(true);
    for number in 0..10 {
        let status = bench.kubernetes.ended(&format!("q{number}")).await;
        assert_eq!(
            content(&status),
            bench.expected(&format!("turns=2 number {number}")),
            "{status}"
        );
    }
    shutdown.cancel();
    worker.await.unwrap().unwrap();
    let requests = bench.requests();
    let turns = requests
        .iter()
        .filter(|line| line.path.as_deref() != Some("tool"))
        .count();
    assert_eq!(turns, 20, "nothing was asked twice");
}
