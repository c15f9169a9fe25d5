//! Databases for tests: one local server per test process, one database per test, cloned from a migrated template.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use ark_postgres::{Choice, Options, Server};
use tokio::sync::OnceCell;

use crate::{ConnectOptions, Store};

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
/// How the folders of test processes begin, and the file in them that the process holds.
const PREFIX: &str = "arkt";
const LOCK: &str = "lock";

static NEXT: AtomicU32 = AtomicU32::new(0);

struct Cluster {
    server: std::sync::Mutex<Option<Server>>,
    data_dir: std::sync::Mutex<Option<tempfile::TempDir>>,
    url: String,
    _lock: Option<File>,
}

/// A database of its own.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// The store on it.
    pub store: Store,
    /// How other processes reach it.
    pub url: String,
}

impl TestDatabase {
    /// Enters a step of some other run for a Query: what a worker finds that lost its lease, or an answer. `kind`: as in
    /// the table; an unknown one is what a newer program writes.
    pub async fn insert_step(&self, query: &str, path: &str, kind: i16) {
        let inserted = sqlx::query(
            "insert into queue.steps (execution, path, kind, run_token, request_hash, body, usage)
             select id, $2, $3, gen_random_uuid(), $4, '{}', $5 from queue.executions where name = $1",
        )
        .bind(query)
        .bind(path)
        .bind(kind)
        .bind([0u8; 32].as_slice())
        .bind(serde_json::to_value(ark_plan::Usage::default()).expect("usage is plain data"))
        .execute(&self.store.pool)
        .await
        .expect("a step can be entered");
        assert_eq!(inserted.rows_affected(), 1, "one Query is called {query}");
    }
}

/// Makes a database with all migrations.
pub async fn database() -> TestDatabase {
    let cluster = CLUSTER.get_or_init(start).await;
    let name = format!(
        "test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    clone_template(&cluster.url, &name).await;
    let url = with_database(&cluster.url, &name);
    let options = ConnectOptions {
        max_connections: 20,
        application_name: "ark-test",
        ..Default::default()
    };
    let store = Store::connect(&url, options)
        .await
        .expect("a test database accepts connections");
    TestDatabase { store, url }
}

/// Stops the server of this process's test databases; to be called by a test binary that ends in order.
pub async fn stop() {
    if let Some(cluster) = CLUSTER.get() {
        let server = cluster
            .server
            .lock()
            .expect("no test panics while it holds the server")
            .take();
        if let Some(server) = server {
            server.stop().await.ok();
        }
        cluster
            .data_dir
            .lock()
            .expect("no test panics while it holds the folder")
            .take();
    }
}

async fn start() -> Cluster {
    if let Ok(url) = std::env::var("ARK_TEST_POSTGRES_URL") {
        let cluster = Cluster {
            server: None.into(),
            data_dir: None.into(),
            url,
            _lock: None,
        };
        prepare_template(&cluster.url).await;
        return cluster;
    }
    let data_dir = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(ark_postgres::temporary_dir())
        .expect("a temporary folder");
    let settings = [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("max_connections", "400"),
    ];
    let options = Options {
        data_dir: data_dir.path().to_owned(),
        cache_dir: None,
        choice: Choice::Auto,
        settings: settings
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    };
    let lock = hold(data_dir.path()).expect("a file in our folder");
    let server = Server::start(options)
        .await
        .expect("a Postgres server for tests");
    // Its start has ended the servers of test processes that are gone.
    remove_leftovers(&ark_postgres::temporary_dir());
    let url = server.url().to_owned();
    let cluster = Cluster {
        server: Some(server).into(),
        data_dir: Some(data_dir).into(),
        url,
        _lock: Some(lock),
    };
    prepare_template(&cluster.url).await;
    cluster
}

/// Marks a folder as in use until this process ends, however it ends.
fn hold(folder: &Path) -> std::io::Result<File> {
    let unseen = folder.join("lock.new");
    let lock = File::create(&unseen)?;
    lock.lock()?;
    std::fs::rename(unseen, folder.join(LOCK))?;
    Ok(lock)
}

/// Removes the folders of test processes that are gone: a process that ends does not drop what is static.
fn remove_leftovers(temporary: &Path) {
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let unlocked = |file: File| file.try_lock().is_ok();
        if is_ours && File::open(entry.path().join(LOCK)).is_ok_and(unlocked) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

async fn prepare_template(url: &str) {
    let admin = admin(url).await;
    // template: made once per server; the lock keeps test processes that share a server apart.
    sqlx::query("select pg_advisory_lock(4711)")
        .execute(&mut *admin.acquire().await.expect("connects"))
        .await
        .ok();
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "create database {}",
        template()
    )))
    .execute(&admin)
    .await
    .ok();
    admin.close().await;
    let store = Store::connect(&with_database(url, &template()), ConnectOptions::default())
        .await
        .expect("the template accepts connections");
    store.migrate().await.expect("the migrations apply");
    store.close().await;
}

fn template() -> String {
    format!("ark_template_{}", std::process::id())
}

async fn clone_template(url: &str, name: &str) {
    let admin = admin(url).await;
    // clone_template: one at a time, because the template must not be in use.
    let create = format!("create database {name} template {}", template());
    let mut connection = admin.acquire().await.expect("connects");
    sqlx::query("select pg_advisory_lock(4712)")
        .execute(&mut *connection)
        .await
        .expect("locks");
    sqlx::query(sqlx::AssertSqlSafe(create))
        .execute(&mut *connection)
        .await
        .expect("clones the template");
    sqlx::query("select pg_advisory_unlock(4712)")
        .execute(&mut *connection)
        .await
        .expect("unlocks");
    drop(connection);
    admin.close().await;
}

async fn admin(url: &str) -> sqlx::PgPool {
    sqlx::PgPool::connect(&with_database(url, "postgres"))
        .await
        .expect("the test server accepts connections")
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
    format!("{host}/{name}?{query}")
}
