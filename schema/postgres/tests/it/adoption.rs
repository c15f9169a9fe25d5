//! A server that already runs on the folder.

use ark_postgres::Server;

use crate::sql::{query, value};
use crate::{options, temporary};

#[tokio::test]
async fn a_second_start_uses_the_first_ones_server_and_leaves_it() {
    let dir = temporary();
    let first = Server::start(options(dir.path())).await.unwrap();
    let second = Server::start(options(dir.path())).await.unwrap();
    assert!(second.adopted());
    assert_eq!((second.pid(), second.url()), (first.pid(), first.url()));
    second.stop().await.unwrap();
    assert_eq!(
        value(first.url(), "SELECT 1"),
        "1",
        "not the second's to stop"
    );
    drop(Server::start(options(dir.path())).await.unwrap());
    assert_eq!(value(first.url(), "SELECT 1"), "1", "nor the third's");
    first.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_starters_one_starts_and_all_get_the_same_server() {
    let dir = temporary();
    let starters: Vec<_> = (0..4)
        .map(|_| tokio::spawn(Server::start(options(dir.path()))))
        .collect();
    let mut servers = Vec::new();
    for starter in starters {
        servers.push(starter.await.unwrap().unwrap());
    }
    let started = servers.iter().filter(|server| !server.adopted()).count();
    assert_eq!(started, 1);
    let url = servers[0].url().to_owned();
    assert!(servers.iter().all(|server| server.url() == url));
    assert_eq!(
        value(
            &url,
            "SELECT count(*) FROM pg_database WHERE datname = 'ark'"
        ),
        "1"
    );
    // The starter goes last, or it would stop the server under the others.
    servers.sort_by_key(|server| !server.adopted());
    for server in servers {
        query(&url, "SELECT 1").unwrap();
        server.stop().await.unwrap();
    }
    assert!(query(&url, "SELECT 1").is_err());
}
