//! The server's life, with real servers: each test starts at least one.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod accounts;
mod adoption;
mod crashes;
mod download;
mod lifecycle;
mod sql;

use std::path::{Path, PathBuf};

use ark_postgres::{Choice, Options};
use tempfile::TempDir;

/// A data folder below the system's temporary folder.
fn temporary() -> TempDir {
    tempfile::tempdir_in(ark_postgres::temporary_dir()).unwrap()
}

/// A data folder that counts as a lasting one, which no sweep touches.
fn lasting() -> TempDir {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tempfile::tempdir_in(place).unwrap()
}

/// Where downloads go, kept between runs of the tests.
fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("postgres-cache")
}

/// Any server, without flushing to disk: the tests pull no plugs.
fn options(data_dir: &Path) -> Options {
    Options {
        data_dir: data_dir.to_owned(),
        cache_dir: None,
        choice: Choice::Auto,
        settings: vec![("fsync".into(), "off".into())],
    }
}
