//! Which Postgres a command works on: one given by its address, or a local one of our own.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ark_postgres::{Choice, Options, Server};
use ark_store::{ConnectOptions, Store};
use clap::Args;
use url::Url;

use crate::config::Config;

/// The file of a data folder that tells people's commands which database a local system uses.
const URL_FILE: &str = "database-url";

/// The database of a role, or of the system that a command looks at.
#[derive(Debug, Args)]
pub(crate) struct DatabaseUrl {
    /// Address of the database, e.g. postgresql://ark@db:5432/ark [default: as .arkrc.yaml says]
    #[arg(
        long,
        env = "ARK_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// File with the database's password; PGPASSWORD and PGPASSFILE work as well
    #[arg(long, env = "ARK_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    database_password_file: Option<PathBuf>,
}

impl DatabaseUrl {
    /// Connects, and refuses a database with another schema.
    pub(crate) async fn open(&self, name: &'static str, connections: u32) -> anyhow::Result<Store> {
        let store = self.connect(name, connections).await?;
        store.check().await?;
        Ok(store)
    }

    /// Connects to whatever is there.
    pub(crate) async fn connect(
        &self,
        name: &'static str,
        connections: u32,
    ) -> anyhow::Result<Store> {
        let url = self.configured()?.context(
            "no database is given: use --database-url, or storage.postgresql in .arkrc.yaml",
        )?;
        connect(&url, name, connections, ConnectOptions::default().patience).await
    }

    /// Connects to the system that somebody wants to look at: without another word the one of `ark up`.
    pub(crate) async fn look(&self, name: &'static str) -> anyhow::Result<Store> {
        let url = match self.configured()? {
            Some(url) => url,
            None => local_url()?,
        };
        let store = connect(url.trim(), name, 4, Duration::from_secs(3)).await?;
        store.check().await?;
        Ok(store)
    }

    fn configured(&self) -> anyhow::Result<Option<String>> {
        let url = match &self.database_url {
            Some(url) => {
                warn_of_password("--database-url", url, "ARK_DATABASE_URL");
                Some(url.clone())
            }
            None => Config::read()?.database_url()?,
        };
        match (url, &self.database_password_file) {
            (Some(url), Some(file)) => with_password(&url, file).map(Some),
            (url, _) => Ok(url),
        }
    }
}

/// What `ark up` left in its data folder: the one that ARK_DATA_DIR names, the one of the kubeconfig in use, or the usual.
fn local_url() -> anyhow::Result<String> {
    let of_kubeconfig = ["ARK_KUBECONFIG", "KUBECONFIG"]
        .into_iter()
        .filter_map(std::env::var_os)
        .filter_map(|file| Some(Path::new(&file).parent()?.to_owned()));
    let data_dir = std::env::var_os("ARK_DATA_DIR").map(PathBuf::from);
    let files: Vec<PathBuf> = data_dir
        .into_iter()
        .chain(of_kubeconfig)
        .chain([ark_postgres::default_data_dir()])
        .map(|folder| folder.join(URL_FILE))
        .collect();
    let url = files
        .iter()
        .find_map(|file| std::fs::read_to_string(file).ok());
    url.with_context(|| {
        let looked: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        format!(
            "no system is known: use --database-url, or start one with `ark up` (looked for {})",
            looked.join(", ")
        )
    })
}

/// The database of a whole system on one machine.
#[derive(Debug, Clone, Args)]
pub(crate) struct LocalPostgres {
    /// The Postgres server to run: an installed one, a downloaded one, or the former if there is one
    #[arg(
        long,
        env = "ARK_POSTGRES",
        default_value = "auto",
        value_name = "auto|installed|download"
    )]
    postgres: Choice,
    /// A database to use instead of a server of our own
    #[arg(
        long,
        env = "ARK_POSTGRES_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    postgres_url: Option<String>,
}

/// An open database, with its server if that is ours.
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) url: String,
    server: Option<Server>,
}

impl LocalPostgres {
    /// Starts or finds the server, connects and migrates.
    pub(crate) async fn open(&self, data_dir: &Path) -> anyhow::Result<Database> {
        let (url, server) = match &self.postgres_url {
            Some(url) => {
                warn_of_password("--postgres-url", url, "ARK_POSTGRES_URL");
                (url.clone(), None)
            }
            None => {
                let options = Options {
                    data_dir: data_dir.to_owned(),
                    cache_dir: None,
                    choice: self.postgres,
                    settings: Vec::new(),
                };
                let server = Server::start(options)
                    .await
                    .context("cannot run a local Postgres")?;
                (server.url().to_owned(), Some(server))
            }
        };
        let patience = ConnectOptions::default().patience;
        let store = connect(&url, "ark", 40, patience).await?;
        store
            .migrate()
            .await
            .context("cannot migrate the database")?;
        store.check().await?;
        remember(&url, data_dir)?;
        Ok(Database { store, url, server })
    }
}

impl Database {
    /// Closes the connections and stops the server if that is ours.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.store.close().await;
        if let Some(server) = self.server {
            server
                .stop()
                .await
                .context("the local Postgres did not stop in order")?;
        }
        Ok(())
    }
}

/// Leaves the address where [`DatabaseUrl::look`] finds it; it may hold a password.
fn remember(url: &str, data_dir: &Path) -> anyhow::Result<()> {
    let file = data_dir.join(URL_FILE);
    let open = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file);
    open.and_then(|mut file| file.write_all(url.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))
}

async fn connect(
    url: &str,
    name: &'static str,
    connections: u32,
    patience: Duration,
) -> anyhow::Result<Store> {
    let options = ConnectOptions {
        application_name: name,
        max_connections: connections,
        patience,
    };
    Store::connect(url, options)
        .await
        .with_context(|| format!("cannot connect to the database {}", without_password(url)))
}

/// An argument is seen by every user of the machine, an environment variable or a file is not.
fn warn_of_password(flag: &str, url: &str, variable: &str) {
    let has_password = Url::parse(url).is_ok_and(|url| url.password().is_some());
    if has_password && std::env::var(variable).as_deref() != Ok(url) {
        tracing::warn!(
            "{flag} holds a password, which other users of this machine can read; use {variable}"
        );
    }
}

fn with_password(url: &str, file: &Path) -> anyhow::Result<String> {
    let password = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read --database-password-file {file:?}"))?;
    let mut url = Url::parse(url).context("--database-url is not a URL")?;
    url.set_password(Some(password.trim_end_matches(['\r', '\n'])))
        .map_err(|()| {
            anyhow::anyhow!("--database-url names no server that could take a password")
        })?;
    Ok(url.into())
}

fn without_password(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) => {
            parsed.set_password(None).ok();
            parsed.into()
        }
        Err(_) => "(unreadable URL)".to_owned(),
    }
}
