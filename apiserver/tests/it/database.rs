//! When the database goes away: never "not found", and everything goes on when it is back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ark_store::{ConnectOptions, Store};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::harness::{CONFIG_MAPS, QUERIES, config_map, start_on};

const SOCKET: &str = ".s.PGSQL.5432";

/// A way to the database that can be cut.
struct Cable {
    folder: tempfile::TempDir,
    target: PathBuf,
    forwarding: Option<tokio::task::JoinHandle<()>>,
}

impl Cable {
    fn new(target: &Path) -> Self {
        let mut cable = Self {
            folder: tempfile::Builder::new().prefix("cable").tempdir().unwrap(),
            target: target.join(SOCKET),
            forwarding: None,
        };
        cable.connect();
        cable
    }

    fn connect(&mut self) {
        let path = self.folder.path().join(SOCKET);
        std::fs::remove_file(&path).ok();
        let listener = UnixListener::bind(path).unwrap();
        let target = self.target.clone();
        self.forwarding = Some(tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = UnixStream::connect(&target).await.unwrap();
                connections.spawn(async move {
                    tokio::io::copy_bidirectional(&mut near, &mut far)
                        .await
                        .ok();
                });
            }
        }));
    }

    fn cut(&mut self) {
        self.forwarding.take().unwrap().abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_503_and_passes() {
    let database = ark_store::testing::database().await;
    let Some((before, rest)) = database.url.split_once("host=") else {
        println!("SKIPPED: the test database is not reached through a socket");
        return;
    };
    let (host, rest) = rest.split_once('&').unwrap_or((rest, ""));
    let host = host.replace("%2F", "/").replace("%2f", "/");
    let mut cable = Cable::new(Path::new(&host));
    let url = format!("{before}host={}&{rest}", cable.folder.path().display());
    let store = Store::connect(&url, ConnectOptions::default())
        .await
        .unwrap();
    let api = start_on(database, store).await;
    api.create(CONFIG_MAPS, config_map("a", json!({}))).await;
    let path = format!(
        "{CONFIG_MAPS}?watch=true&resourceVersion={}",
        api.database.store.revisions().await.unwrap().head
    );
    let mut watch = api
        .request(reqwest::Method::GET, &path)
        .send()
        .await
        .unwrap();

    // Once it has shown a change it follows.
    api.create(CONFIG_MAPS, config_map("seen", json!({}))).await;
    let line = watch.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&line).contains("\"name\":\"seen\""));

    cable.cut();
    let failing = [
        ("GET", format!("{CONFIG_MAPS}/a"), None),
        ("GET", format!("{QUERIES}/never-was"), None),
        ("GET", CONFIG_MAPS.to_owned(), None),
        ("GET", format!("{CONFIG_MAPS}?watch=true"), None),
        (
            "POST",
            CONFIG_MAPS.to_owned(),
            Some(config_map("b", json!({}))),
        ),
        ("DELETE", format!("{CONFIG_MAPS}/a"), None),
    ];
    let failing = failing.map(|(method, path, body)| {
        let mut request = api.request(method.parse().unwrap(), &path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        async move { (path, request.send().await.unwrap()) }
    });
    for (path, response) in futures::future::join_all(failing).await {
        assert_eq!(response.status(), 503, "{path}");
        assert!(response.headers().contains_key("retry-after"));
        let status: Value = response.json().await.unwrap();
        assert_eq!(status["reason"], "ServiceUnavailable");
    }
    let ready = api
        .client
        .get(format!("{}/readyz", api.base))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 500);
    assert_eq!(
        api.get("/apis/ark.mckinsey.com/v1alpha1").await.0,
        200,
        "discovery needs no database"
    );

    cable.connect();
    let mut code = 0;
    for _ in 0..100 {
        code = api.post(CONFIG_MAPS, config_map("b", json!({}))).await.0;
        if code != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(code, 201);
    let line = tokio::time::timeout(Duration::from_secs(20), watch.chunk()).await;
    let line = line.expect("the watch goes on").unwrap().unwrap();
    let line = String::from_utf8_lossy(&line);
    assert!(line.contains("\"name\":\"b\""), "{line}");
    api.stop().await;
}
