//! Why the server cannot run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A reason to end the server; requests never end it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address that was tried last.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the data folder cannot be used.
    #[error("cannot use {}", path.display())]
    DataDir {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate cannot be made or read.
    #[error("the certificate authority of the data folder cannot be used")]
    Certificate(#[from] rcgen::Error),
    /// The file of the certificate authority does not hold one.
    #[error(
        "the certificate authority of the data folder is damaged; remove apiserver-ca.pem to make a new one"
    )]
    Authority,
    /// TLS refuses the certificate or its key.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The system gives no random bytes.
    #[error("no random bytes for keys")]
    Random,
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] ark_store::Error),
    /// The first objects cannot be created.
    #[error("the first namespaces cannot be created: {0}")]
    FirstObjects(String),
}

impl Error {
    pub(crate) fn data_dir<E>(path: &Path, source: E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::DataDir {
            path: path.to_owned(),
            source: std::io::Error::other(source),
        }
    }
}
