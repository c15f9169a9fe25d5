//! `cargo bench -p ark-loadtest --bench queue [-- --jobs 100000 --claimers 2]`: see [`ark_loadtest::queue_bench`].

use ark_loadtest::queue_bench::{self, Options};
use clap::Parser;

/// Measures the queue alone: enqueue, claim, finish and report of no-op executions, durably.
#[derive(Debug, Parser)]
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
    let figures = queue_bench::run(&arguments.options).await?;
    println!("{figures}");
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
