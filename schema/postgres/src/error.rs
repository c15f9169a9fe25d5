//! Why a local server could not be had; each message ends with what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a local Postgres server could not be found, fetched, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no [`Choice`](crate::Choice).
    #[error("unknown choice of Postgres server '{0}': give auto, installed or download")]
    UnknownChoice(String),

    /// Only installed programs were allowed and none fits.
    #[error(
        "no PostgreSQL {wanted} is installed (initdb and postgres on the PATH or under \
         /usr/lib/postgresql/*/bin): install it (Debian: apt-get install postgresql), \
         or use --postgres download, or name another server with --postgres-url"
    )]
    NotInstalled {
        /// The version that was looked for, such as `15 or newer`.
        wanted: String,
    },

    /// The pinned release could not be fetched.
    #[error(
        "cannot download PostgreSQL {version}: {reason}; install PostgreSQL 15 or newer \
         (Debian: apt-get install postgresql), or name another server with --postgres-url"
    )]
    Download {
        /// The release that was asked for.
        version: String,
        /// What the download said.
        reason: String,
    },

    /// The data folder was written by a version that is too old for us.
    #[error(
        "{} was written by PostgreSQL {found}, and 15 is the oldest that works: move its data with \
         pg_dumpall, or choose another folder with --data-dir", cluster.display()
    )]
    TooOld {
        /// The server's data folder.
        cluster: PathBuf,
        /// The major version in its `PG_VERSION`.
        found: u32,
    },

    /// The data folder needs programs that are neither installed nor can be downloaded.
    #[error(
        "{} was written by PostgreSQL {found}, which is not installed and of which no release to \
         download is known: install PostgreSQL {found}, or choose another folder with --data-dir",
        cluster.display()
    )]
    NoProgramsFor {
        /// The server's data folder.
        cluster: PathBuf,
        /// The major version in its `PG_VERSION`.
        found: u32,
    },

    /// The data folder holds something that is not a Postgres cluster.
    #[error(
        "{} is not empty and not the data of a Postgres server (no PG_VERSION): \
         move it away, or choose another folder with --data-dir", .0.display()
    )]
    NotACluster(PathBuf),

    /// As root: the user that runs the server cannot get at a folder.
    #[error(
        "the server runs as user '{user}', which cannot enter {} on the way to {}: \
         choose a folder that it can reach, or allow it with chmod o+x", blocked.display(), path.display()
    )]
    Unreachable {
        /// The folder or program that is needed.
        path: PathBuf,
        /// The first folder on the way that is closed.
        blocked: PathBuf,
        /// The user that runs the server.
        user: String,
    },

    /// As root: there is no user to run the server as.
    #[error("Postgres refuses to run as root and there is no user 'postgres' or 'nobody': add one")]
    NoAccount,

    /// One of the server's programs failed.
    #[error("{program} failed: {output}")]
    Program {
        /// The program, such as `initdb`.
        program: &'static str,
        /// The end of what it printed.
        output: String,
    },

    /// The server ended, or did not answer, while it started.
    #[error("the Postgres server on {} did not start: {output} (log: {})", cluster.display(), log.display())]
    Start {
        /// The server's data folder.
        cluster: PathBuf,
        /// The end of what the server logged.
        output: String,
        /// The whole log.
        log: PathBuf,
    },

    /// A server runs on the folder but does not answer on a Unix socket.
    #[error(
        "a Postgres server (pid {pid}) runs on {} but cannot be reached through a Unix socket: stop \
         it, or name it with --postgres-url", cluster.display()
    )]
    NoSocket {
        /// The server's data folder.
        cluster: PathBuf,
        /// The server's process.
        pid: i32,
    },

    /// The server did not end.
    #[error("the Postgres server (pid {pid}) did not end within {waited:?}")]
    Stop {
        /// The server's process.
        pid: i32,
        /// How long it was given.
        waited: Duration,
    },

    /// The operating system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `create`.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: gives an I/O error its file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io {
            doing,
            path,
            source,
        }
    }
}
