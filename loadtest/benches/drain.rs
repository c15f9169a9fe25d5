//! `cargo bench -p ark-loadtest --bench drain [-- --queries 5000 --workers 2]`: see [`ark_loadtest::drain`].

use anyhow::ensure;
use ark_loadtest::drain::{self, Options};
use clap::Parser;

/// Measures how fast Queries created over the API are answered by worker processes.
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
    let figures = drain::run(&arguments.options).await?;
    println!("{figures}");
    println!("{}", serde_json::to_string(&figures)?);
    ensure!(
        figures.failed + figures.repeated == 0,
        "not every Query ended once and as done"
    );
    Ok(())
}
