//! A pool on the database, its migrations, and the connections that stand outside the pool.

use std::str::FromStr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};

use crate::{Error, Result};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The number by which this program is known to the database: its newest migration.
pub const PROGRAM: i64 = 3;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The most connections of the pool.
    pub max_connections: u32,
    /// What `pg_stat_activity` shows.
    pub application_name: &'static str,
    /// For how long an unreachable database is tried again at the start.
    pub patience: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            application_name: "ark",
            patience: Duration::from_secs(30),
        }
    }
}

/// The database. Cheap to clone; all clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
    pub(crate) connect: PgConnectOptions,
}

impl Store {
    /// Connects, and waits with growing pauses for a database that is not there yet.
    pub async fn connect(url: &str, options: ConnectOptions) -> Result<Store> {
        let connect = PgConnectOptions::from_str(url)?
            .application_name(options.application_name)
            .options([
                ("statement_timeout", "30s"),
                ("lock_timeout", "10s"),
                // A process that is stopped in the middle of a transaction must not keep its locks.
                ("idle_in_transaction_session_timeout", "10s"),
                // Queue tables grow from nothing to much in seconds; a plan that was made for the empty table and kept
                // is worth hundreds of milliseconds per claim.
                ("plan_cache_mode", "force_custom_plan"),
                ("jit", "off"),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(connect.clone());
        let store = Store { pool, connect };
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(3))
            .with_total_delay(Some(options.patience))
            .without_max_times();
        (|| store.reach())
            .retry(backoff)
            .when(Error::is_unavailable)
            .notify(|error, pause| {
                let why = std::error::Error::source(error).map(ToString::to_string);
                tracing::info!(?pause, why, "waiting for the database");
            })
            .await?;
        Ok(store)
    }

    /// Connects once, outside the pool, which would hide why it cannot until its patience ends.
    async fn reach(&self) -> Result<()> {
        Ok(PgConnection::connect_with(&self.connect)
            .await?
            .close()
            .await?)
    }

    /// Applies the migrations that are missing. Only `ark migrate`, `ark up` and `ark run` do this.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATIONS.run(&self.pool).await.map_err(Error::Migration)
    }

    /// Refuses a database that this program cannot work with.
    pub async fn check(&self) -> Result<()> {
        // check: is there a record of migrations at all?
        let known = sqlx::query_scalar!(
            r#"select to_regclass('public.ark_migrations') is not null as "known!""#
        )
        .fetch_one(&self.pool)
        .await?;
        if !known {
            return Err(Error::SchemaOld { missing: 1 });
        }
        // check_migrations: which ones are there, and what do they need?
        let rows = sqlx::query!(
            "select migration, oldest_program from public.ark_migrations order by migration"
        )
        .fetch_all(&self.pool)
        .await?;
        let needed = rows.iter().map(|row| row.oldest_program).max().unwrap_or(0);
        // A program reads what migrations up to its own number made; each later one says whether it still may.
        let applied = rows.iter().map(|row| row.migration).max().unwrap_or(0);
        if needed > PROGRAM && applied > PROGRAM {
            return Err(Error::ProgramOld {
                needed,
                known: PROGRAM,
            });
        }
        match (1..=PROGRAM).find(|number| !rows.iter().any(|row| row.migration == *number)) {
            Some(missing) => Err(Error::SchemaOld { missing }),
            None => Ok(()),
        }
    }

    /// Asks the database for nothing: is it there?
    pub async fn ping(&self) -> Result<()> {
        sqlx::query_scalar!("select 1")
            .fetch_one(&self.pool)
            .await?;
        Ok(())
    }

    /// Closes the pool and waits for its connections to end.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Listens on channels with a connection of its own.
    pub async fn listen(&self, channels: &[&str]) -> Result<Listener> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(self.connect.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(true);
        listener.listen_all(channels.iter().copied()).await?;
        Ok(Listener { listener })
    }
}

/// Nudges from the database. A nudge says "look", never "what".
#[derive(Debug)]
pub struct Listener {
    listener: PgListener,
}

impl Listener {
    /// The channel of the next nudge; `None` after the connection was lost and is back, when anything may have happened.
    pub async fn recv(&mut self) -> Result<Option<String>> {
        let nudge = self.listener.try_recv().await?;
        Ok(nudge.map(|nudge| nudge.channel().to_owned()))
    }
}
