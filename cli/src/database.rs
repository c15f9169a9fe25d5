//! Which Postgres a command works on: one given by its address, or a local one of our own.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ark_postgres::{Choice, Options, Server};
use ark_store::{ConnectOptions, Store};
use clap::Args;
use url::Url;

/// The database of a role.
#[derive(Debug, Args)]
pub(crate) struct DatabaseUrl {
    /// Address of the database, e.g. postgresql://ark@db:5432/ark
    #[arg(
        long,
        env = "ARK_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: String,
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
        warn_of_password("--database-url", &self.database_url, "ARK_DATABASE_URL");
        let url = match &self.database_password_file {
            Some(file) => with_password(&self.database_url, file)?,
            None => self.database_url.clone(),
        };
        connect(&url, name, connections).await
    }
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
        let store = connect(&url, "ark", 40).await?;
        store
            .migrate()
            .await
            .context("cannot migrate the database")?;
        store.check().await?;
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

async fn connect(url: &str, name: &'static str, connections: u32) -> anyhow::Result<Store> {
    let options = ConnectOptions {
        application_name: name,
        max_connections: connections,
        ..Default::default()
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
