//! What can go wrong with the database, as far as a caller would act on it.

/// A failed statement or connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or refuses work for now; the same call may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// A value cannot be stored; the same call fails again.
    #[error("the database refuses the data")]
    Data(#[source] sqlx::Error),
    /// Migrations are missing.
    #[error(
        "the database lacks migration {missing} of this program; run `ark migrate` with the database's owner"
    )]
    SchemaOld {
        /// The first migration that is missing.
        missing: i64,
    },
    /// A newer program has migrated the database beyond what this one can use.
    #[error(
        "the database needs a program that knows migration {needed}, this one knows {known}; upgrade this program"
    )]
    ProgramOld {
        /// The oldest program that still works.
        needed: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// A revision that is no longer held.
    #[error("revision {asked} has been compacted, the oldest is {compacted}")]
    Compacted {
        /// The revision asked for.
        asked: i64,
        /// The compaction floor.
        compacted: i64,
    },
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A stored value cannot be read.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// A statement is wrong: a fault of this program.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    /// Whether one value of the call is to blame.
    pub fn is_data(&self) -> bool {
        matches!(self, Error::Data(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let state = match &error {
            sqlx::Error::Database(database) => database.code().map(|code| code.into_owned()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => return Error::Unavailable(error),
            _ => None,
        };
        match state.as_deref() {
            Some(state) if is_passing(state) => Error::Unavailable(error),
            Some(state) if state.starts_with("22") || state.starts_with("54") => Error::Data(error),
            _ => Error::Statement(error),
        }
    }
}

/// SQLSTATE classes that describe the server's condition and not the statement: connection (08), insufficient
/// resources (53), operator intervention (57), system error (58), transaction rollback (40), lock timeout, read-only,
/// a transaction that was idle for too long.
fn is_passing(state: &str) -> bool {
    ["08", "53", "57", "58", "40"]
        .iter()
        .any(|class| state.starts_with(class))
        || matches!(state, "55P03" | "25006" | "25P03")
}
