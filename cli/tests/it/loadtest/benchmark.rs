//! The API benchmark, small, against a server of ours that is running already.

use ark_loadtest::api_bench::{self, Options};
use clap::Parser;

use crate::system::{Process, ark, database, folder};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_benchmark_measures_any_server_and_leaves_nothing() {
    let folder = folder();
    let (_postgres, url) = database(folder.path()).await;
    let data_dir = folder.path().join("api");
    let mut server = ark();
    server.args(["apiserver", "--port", "0", "--database-url", &url]);
    let _server = Process::start(
        "apiserver",
        folder.path(),
        server.arg("--data-dir").arg(&data_dir),
    )
    .await;
    let server = format!("ours={}", data_dir.join("kubeconfig").display());
    let arguments = [
        "api",
        "--without-ours",
        "--server",
        &server,
        "--objects",
        "120",
        "--page",
        "50",
        "--lists",
        "2",
        "--watchers",
        "10",
        "--events",
        "20",
        "--event-rate",
        "100",
    ];
    let options = Arguments::parse_from(arguments).options;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let figures = api_bench::run(&options).await.unwrap();
    let ours = &figures.servers[0];
    assert_eq!(
        (ours.create.latency.count, ours.get.latency.count),
        (120, 120)
    );
    assert_eq!((ours.watch.delivery.count, ours.watch.missed), (200, 0));
    assert!(ours.list_bytes > 120 * 300, "{} bytes", ours.list_bytes);
    assert!(figures.to_string().contains("| status patch |"));
    // It refuses a server that has Queries: a second run works because the first one left none.
    api_bench::run(&options).await.unwrap();
}
