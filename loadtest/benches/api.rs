//! `cargo bench -p ark-loadtest --bench api [-- --reference FOLDER]`: see [`ark_loadtest::api_bench`].

use anyhow::ensure;
use ark_loadtest::api_bench::{self, Options};
use clap::Parser;

/// Measures create, get, list, paged list, status patch, watch and delete of Queries against `ark apiserver`, and against
/// other servers beside it.
///
/// `ark` is the executable that `cargo build --release -p ark-cli` makes, or the one that ARK_BIN names. The servers are
/// measured one after the other with the same requests; the table and one line of JSON go to standard output.
#[derive(Debug, Parser)]
#[command(after_help = "Side by side with Kubernetes' own code:
  cargo build --release -p ark-cli
  cargo bench -p ark-loadtest --bench api -- --reference FOLDER

Against a cluster that is running:
  cargo bench -p ark-loadtest --bench api -- --without-ours --server cluster=$HOME/.kube/config")]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let figures = api_bench::run(&arguments.options).await?;
    println!("{figures}");
    println!("{}", serde_json::to_string(&figures)?);
    let missed: usize = figures
        .servers
        .iter()
        .map(|server| server.watch.missed)
        .sum();
    ensure!(missed == 0, "{missed} events did not reach their watch");
    Ok(())
}
