//! `ark run FILE...`: a system for the time of some Queries.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use ark_apiserver::PortChoice;
use ark_store::Store;
use ark_worker::Overrides;
use clap::{Args, ValueEnum};
use kube::{Client, ResourceExt};
use prometheus_client::registry::Registry;

use crate::database::LocalPostgres;
use crate::follow::{Answer, Follower};
use crate::manifests::{self, Manifest};
use crate::offline::duration;
use crate::progress::Progress;
use crate::system::{Options, Provider, System};
use crate::{dry_run, process};

/// Runs the Queries of manifest files to their end, on a system of its own, and prints the answers.
///
/// Exits with 0 only if all Queries are done. The manifests are those that a cluster takes, unchanged. With
/// `--provider auto`, OPENAI_BASE_URL, OPENAI_API_KEY and ANTHROPIC_API_KEY stand above what the Models say.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Manifest files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which providers are called
    #[arg(long, env = "ARK_PROVIDER", default_value = "auto")]
    provider: Provider,
    /// Show each turn as it happens, with tokens and time
    #[arg(long)]
    watch: bool,
    /// The form of the answers: text, or one JSON object per line
    #[arg(long, default_value = "text")]
    output: Output,
    /// Set a parameter of every Query; can be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    /// End after this time, whatever is still running
    #[arg(long, env = "ARK_TIMEOUT", value_parser = duration)]
    timeout: Option<Duration>,
    /// Check the manifests and show what each Query resolves to, without calling anything
    #[arg(long)]
    dry_run: bool,
    /// Namespace of objects that name none
    #[arg(long, short, env = "ARK_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Keep the system's data, and say where
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    postgres: LocalPostgres,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

impl Run {
    pub(crate) async fn execute(self) -> anyhow::Result<()> {
        let mut manifests = manifests::read(&self.files, &self.namespace)?;
        manifests::set_parameters(&mut manifests, &self.input);
        if !manifests.iter().any(|manifest| manifest.kind == "Query") {
            bail!("there is no Query in {}", display(&self.files));
        }
        if self.dry_run {
            return dry_run::show(&manifests, self.provider == Provider::Mock);
        }
        let shutdown = process::shutdown_on_signal()?;
        let folder = tempfile::Builder::new()
            .prefix("ark-run-")
            .tempdir_in(ark_postgres::temporary_dir())
            .context("cannot make a temporary folder")?;
        let options = Options {
            data_dir: folder.path().to_owned(),
            port: PortChoice::NextFree(0),
            workers: 1,
            provider: self.provider,
            overrides: overrides(self.provider),
            postgres: self.postgres.clone(),
            drain: Duration::ZERO,
        };
        let mut registry = Registry::default();
        let mut system = tokio::select! {
            system = System::start(options, &mut registry) => system?,
            () = shutdown.cancelled() => bail!("interrupted"),
        };
        let answered = tokio::select! {
            answers = self.answer(&system.client, &system.store, &manifests) => answers,
            error = System::failed(&mut system.roles) => Err(error),
            () = shutdown.cancelled() => Err(anyhow::anyhow!("interrupted")),
            () = expire(self.timeout) => Err(anyhow::anyhow!("not all queries ended within --timeout")),
        };
        let stopped = system.stop().await;
        if self.keep {
            let kept = folder.keep();
            eprintln!(
                "kept in {}; go on with: ark up --data-dir {}",
                kept.display(),
                kept.display()
            );
        }
        let answers = answered?;
        stopped?;
        summarize(&answers)
    }

    async fn answer(
        &self,
        client: &Client,
        store: &Store,
        manifests: &[Manifest],
    ) -> anyhow::Result<Vec<Answer>> {
        let started = std::time::Instant::now();
        let mut follower = Follower::start(client);
        for manifest in manifests::missing_namespaces(manifests)
            .iter()
            .chain(manifests)
        {
            let object = manifest.apply(client).await?;
            if manifest.kind == "Query" {
                follower.expect(&object.uid().unwrap_or_default());
            }
        }
        let progress = Progress::new(store.clone(), self.watch);
        let mut answers = Vec::new();
        while follower.is_waiting() {
            let answer = tokio::select! {
                answer = follower.next() => answer?,
                () = progress.show() => continue,
            };
            progress.catch_up().await;
            match self.output {
                Output::Text => answer.print_text(),
                Output::Json => answer.print_json(),
            }
            answers.push(answer);
        }
        if self.output == Output::Text {
            let done = answers.iter().filter(|answer| answer.is_done()).count();
            let seconds = started.elapsed().as_secs_f64();
            eprintln!("{done} of {} queries done in {seconds:.1} s", answers.len());
        }
        Ok(answers)
    }
}

/// What the variables of the providers' own clients say, which stands above the Models' addresses and keys.
fn overrides(provider: Provider) -> Overrides {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match provider {
        Provider::Mock => Overrides::default(),
        Provider::Auto => Overrides {
            openai_base_url: variable("OPENAI_BASE_URL"),
            openai_api_key: variable("OPENAI_API_KEY"),
            anthropic_api_key: variable("ANTHROPIC_API_KEY"),
        },
    }
}

async fn expire(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn summarize(answers: &[Answer]) -> anyhow::Result<()> {
    let failed: Vec<&str> = answers
        .iter()
        .filter(|answer| !answer.is_done())
        .map(|answer| answer.name.as_str())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("not done: {}", failed.join(", "))
}

fn display(files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|file| file.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
