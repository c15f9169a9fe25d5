//! The Kubernetes API under load: the same requests to `ark apiserver` and to any other server of the same kinds, one server
//! after the other, so that none takes processor time from the one that is measured.

mod result;
mod steps;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use kube::Client;

use crate::database::{self, Database};
use crate::drain::client;
use crate::processes::Workplace;
use result::Watched;
pub use result::{ApiFigures, Comparison};
use steps::Bench;

/// What is measured, and against whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A server that is running already; can be given several times
    #[arg(long, value_name = "NAME=KUBECONFIG", value_parser = server)]
    pub server: Vec<(String, PathBuf)>,
    /// The sources of a Go program that serves the same kinds with Kubernetes' own code; it is built, started, and stopped.
    /// It takes `--dir DIR`, writes DIR/kubeconfig-reference, and says `ready`
    #[arg(long, value_name = "FOLDER")]
    pub reference: Option<PathBuf>,
    /// Do not start and measure `ark apiserver`
    #[arg(long)]
    pub without_ours: bool,
    /// Objects that are created, read, listed and deleted
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub objects: u32,
    /// Requests in flight in create, get, patch and delete
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Full lists and paged lists, one after the other
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub lists: u16,
    /// Objects of a page
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    pub page: u16,
    /// Watches that are open at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub watchers: u16,
    /// Changes that each watch must show, at most as many as there are objects
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub events: u32,
    /// Those changes per second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub event_rate: u16,
    /// The database of `ark apiserver`
    #[command(flatten)]
    pub database: database::Choice,
}

fn server(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("must be NAME=KUBECONFIG".to_owned()),
    }
}

/// Measures one server after the other.
///
/// # Errors
/// When there is no server, one cannot be started, has Queries already, or refuses a request.
pub async fn run(options: &Options) -> anyhow::Result<Comparison> {
    if options.events > options.objects {
        bail!("there are fewer objects than events");
    }
    let mut servers = Vec::new();
    if !options.without_ours {
        servers.push(ours(options).await.context("ark apiserver")?);
    }
    if let Some(sources) = &options.reference {
        let place = Workplace::new()?;
        let server = place.reference(sources).await?;
        let client = client(&server.kubeconfig).await?;
        let conditions = "Kubernetes' own code on etcd".to_owned();
        let figures = measure(options, client, "reference", conditions).await;
        servers.push(figures.context("the reference server")?);
        server.process.stop().await?;
    }
    for (name, kubeconfig) in &options.server {
        let kubeconfig = kubeconfig.to_str().context("the path is not UTF-8")?;
        let client = client(kubeconfig).await?;
        let conditions = "running already".to_owned();
        let figures = measure(options, client, name, conditions).await;
        servers.push(figures.with_context(|| name.clone())?);
    }
    if servers.is_empty() {
        bail!("there is no server to measure");
    }
    Ok(Comparison { servers })
}

async fn ours(options: &Options) -> anyhow::Result<ApiFigures> {
    let place = Workplace::new()?;
    let database = Database::open(&options.database).await?;
    place.migrate(&database.url).await?;
    let server = place.apiserver(&database.url).await?;
    let client = client(&server.kubeconfig).await?;
    let conditions = database.conditions().await;
    let figures = measure(options, client, "ark apiserver", conditions).await;
    let stopped = server.process.stop().await;
    database.close().await?;
    let figures = figures.with_context(|| format!("the logs are in {}", place.keep().display()))?;
    stopped?;
    Ok(figures)
}

async fn measure(
    options: &Options,
    client: Client,
    name: &str,
    conditions: String,
) -> anyhow::Result<ApiFigures> {
    let bench = Arc::new(Bench::new(client, options));
    bench.prepare().await?;
    eprintln!("{name}: creating {} objects", options.objects);
    let create = bench.create().await?;
    eprintln!("{name}: reading");
    let get = bench.get().await?;
    let (list, list_bytes) = bench.list().await?;
    let paged = bench.paged().await?;
    eprintln!("{name}: patching");
    let patch = bench.patch().await?;
    eprintln!("{name}: watching");
    let watch: Watched = watch::measure(&bench, options).await?;
    eprintln!("{name}: deleting");
    let delete = bench.delete().await?;
    bench.clear().await?;
    Ok(ApiFigures {
        benchmark: "api",
        server: name.to_owned(),
        conditions,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        objects: options.objects,
        concurrency: options.concurrency,
        create,
        get,
        list,
        list_bytes,
        paged,
        patch,
        watch,
        delete,
    })
}
