//! The database that is measured, and what is asked of it beside the store: only through `psql`, where that is there,
//! because every statement of the project stands in the store.

use std::path::{Path, PathBuf};

use anyhow::Context;
use ark_postgres::Server;
use tokio::process::Command;

/// Which database is measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Choice {
    /// An empty database to use instead of a server of our own
    #[arg(long, value_name = "URL")]
    pub postgres_url: Option<String>,
    /// The folder of our own server, on the disk to be measured [default: a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with = "postgres_url")]
    pub data_dir: Option<PathBuf>,
}

/// A server of our own with its usual, durable settings, or the one that was named.
pub(crate) struct Database {
    pub(crate) url: String,
    own: Option<Own>,
}

struct Own {
    server: Server,
    _temporary: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) async fn open(choice: &Choice) -> anyhow::Result<Self> {
        if let Some(url) = &choice.postgres_url {
            return Ok(Self {
                url: url.clone(),
                own: None,
            });
        }
        let Some(data_dir) = &choice.data_dir else {
            let temporary = temporary_folder()?;
            let server = start(temporary.path()).await?;
            return Ok(Self::own(server, Some(temporary)));
        };
        Ok(Self::own(start(data_dir).await?, None))
    }

    fn own(server: Server, temporary: Option<tempfile::TempDir>) -> Self {
        Self {
            url: server.url().to_owned(),
            own: Some(Own {
                server,
                _temporary: temporary,
            }),
        }
    }

    /// Version, and the settings on which durability and speed hang.
    pub(crate) async fn conditions(&self) -> String {
        let sql = "select 'Postgres ' || current_setting('server_version') || string_agg(
                       ', ' || name || ' ' || current_setting(name), '' order by name)
                   from pg_settings
                   where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'wal_level')";
        self.ask(sql)
            .await
            .unwrap_or_else(|| "Postgres of unknown settings (no psql)".to_owned())
    }

    /// Bytes of WAL written so far by the whole server; `None` without `psql`.
    pub(crate) async fn wal_position(&self) -> Option<f64> {
        let position = self.ask("select pg_current_wal_lsn() - '0/0'").await?;
        position.parse().ok()
    }

    async fn ask(&self, sql: &str) -> Option<String> {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "-At", "-c", sql, &self.url])
            .output()
            .await
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.own {
            Some(own) => own.server.stop().await.context("cannot stop the server"),
            None => Ok(()),
        }
    }
}

async fn start(data_dir: &Path) -> anyhow::Result<Server> {
    let options = ark_postgres::Options {
        data_dir: data_dir.to_owned(),
        cache_dir: None,
        choice: ark_postgres::Choice::Auto,
        settings: Vec::new(),
    };
    let started = Server::start(options).await;
    started.context("cannot start a Postgres server")
}

fn temporary_folder() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("arkb")
        .tempdir_in(ark_postgres::temporary_dir())
        .context("cannot make a temporary folder")
}
