//! `ark`: every role of the system and every human command, in one executable.

mod config;
mod database;
mod dry_run;
mod follow;
mod loadtest;
mod manifests;
mod offline;
mod process;
mod progress;
mod query;
mod roles;
mod run;
mod shell;
mod status;
mod system;
mod telemetry;
mod up;

use clap::{CommandFactory, Parser, Subcommand};

/// AI agent queries on Kubernetes, executed by a pool of workers on a Postgres queue.
#[derive(Debug, Parser)]
#[command(name = "ark", version, propagate_version = true, max_term_width = 110, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    logging: telemetry::Logging,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Try it on this machine, without a cluster and without a key:
  ark run examples/quickstart.yaml --provider mock --watch

Keep a system running, and use kubectl on it:
  ark up
  kubectl --kubeconfig DATA_DIR/kubeconfig get queries

Each flag can also be given by an environment variable, as its help says.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole system in one process, on a local Postgres
    Up(up::Up),
    /// Run the queries of manifest files to their end and print the answers
    Run(run::Run),
    /// Check manifest files without a server
    Validate(dry_run::Validate),
    /// Show one Query's answer, or follow it to its end
    Query(query::Query),
    /// Show who works, what waits, and why
    Status(status::Status),
    /// Show the same live
    Top(status::Top),
    /// Serve the Kubernetes API for Ark's resources from Postgres
    Apiserver(roles::Apiserver),
    /// Turn Queries into executions in the queue
    Dispatcher(roles::Dispatcher),
    /// Claim executions, call the models, report the answers
    Worker(roles::Worker),
    /// Serve a fake model provider, deterministic and without cost
    MockProvider(offline::MockProvider),
    /// Put load on a cluster and measure what becomes of it
    Loadtest(loadtest::Loadtest),
    /// Bring a database to the schema of this program
    Migrate(offline::Migrate),
    /// Print the CustomResourceDefinitions of Ark's kinds as YAML
    Crds,
    /// Print a completion script for a shell
    Completion(shell::Completion),
    /// Print a manual page
    Man(shell::Man),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let (usual, service) = match cli.command {
        // Their output is for people; only a download takes long enough to be told of.
        Command::Run(_) | Command::Status(_) | Command::Top(_) | Command::Query(_) => {
            ("warn,ark_postgres::download=info", "ark")
        }
        Command::Loadtest(_) => ("warn", "ark"),
        Command::Apiserver(_) => ("info", "ark-apiserver"),
        Command::Dispatcher(_) => ("info", "ark-dispatcher"),
        Command::Worker(_) => ("info", "ark-worker"),
        _ => ("info", "ark"),
    };
    let telemetry = cli.logging.start(usual, service);
    process::raise_file_limit();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads");
    let result = runtime.block_on(async {
        match cli.command {
            Command::Up(up) => up.execute().await,
            Command::Run(run) => run.execute().await,
            Command::Apiserver(role) => role.execute().await,
            Command::Dispatcher(role) => role.execute().await,
            Command::Worker(role) => role.execute().await,
            Command::MockProvider(mock) => mock.execute().await,
            Command::Loadtest(loadtest) => loadtest.execute().await,
            Command::Migrate(migrate) => migrate.execute().await,
            Command::Validate(validate) => validate.execute(),
            Command::Query(query) => query.execute().await,
            Command::Status(status) => status.execute().await,
            Command::Top(top) => top.execute().await,
            Command::Crds => offline::print_crds(),
            Command::Completion(completion) => completion.print(Cli::command()),
            Command::Man(man) => man.print(Cli::command()),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    drop(telemetry);
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ark: {error:#}");
            loadtest::exit_code(&error)
        }
    }
}
