//! The server's life, with real servers: each test starts at least one.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod accounts;
mod adoption;
mod crashes;
mod download;
mod lifecycle;
mod sql;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ark_postgres::{Choice, Options};
use nix::unistd::geteuid;
use tempfile::TempDir;

/// A data folder below the system's temporary folder.
fn temporary() -> TempDir {
    tempfile::tempdir_in(ark_postgres::temporary_dir()).unwrap()
}

/// A data folder that no sweep touches, where the target folder can hold one.
fn lasting() -> Option<TempDir> {
    let place = target_dir()?;
    let passing = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    if passing.iter().any(|passing| place.starts_with(passing)) {
        return None;
    }
    Some(tempfile::tempdir_in(place).unwrap())
}

/// Where downloads go, kept between runs of the tests.
fn cache() -> PathBuf {
    target_dir()
        .unwrap_or_else(ark_postgres::temporary_dir)
        .join("ark-test-cache")
}

/// Cargo's folder for test files, unless we are root and the server's user cannot get there.
fn target_dir() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .canonicalize()
        .unwrap();
    let open = |folder: &Path| folder.metadata().unwrap().mode() & 0o001 != 0;
    (!geteuid().is_root() || place.ancestors().all(open)).then_some(place)
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
