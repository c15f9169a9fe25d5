//! The data folder: where things lie in it, which version wrote it, and its locks.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::account::is_root;

/// The oldest major version that works.
pub(crate) const OLDEST_MAJOR: u32 = 15;

/// One data folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder if it does not exist.
    pub(crate) fn open(root: &Path) -> Result<Folder, Error> {
        create_dir(root)?;
        let root = fs::canonicalize(root).map_err(Error::io("open", root))?;
        Ok(Folder { root })
    }

    /// The folder that holds this cluster, if it exists.
    pub(crate) fn of_cluster(cluster: &Path) -> Option<Folder> {
        let root = cluster.parent().filter(|root| root.is_dir())?.to_owned();
        (root.join("postgres") == cluster).then_some(Folder { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The server's own data.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// What the server prints.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// The major version that wrote the cluster; `None` when there is no cluster yet.
    pub(crate) fn major(&self) -> Result<Option<u32>, Error> {
        let cluster = self.cluster();
        let path = cluster.join("PG_VERSION");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return match is_empty_or_missing(&cluster) {
                    true => Ok(None),
                    false => Err(Error::NotACluster(cluster)),
                };
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        // Before version 10 a major version was two numbers, such as 9.6.
        let digits = text.trim().split('.').next().unwrap_or_default();
        let found: u32 = match digits.parse() {
            Ok(found) => found,
            Err(_) => return Err(Error::NotACluster(cluster)),
        };
        if found < OLDEST_MAJOR {
            return Err(Error::TooOld { cluster, found });
        }
        Ok(Some(found))
    }

    /// The lock held while somebody starts a server here.
    pub(crate) fn start_lock(&self) -> Lock {
        Lock(self.root.join(".postgres-start.lock"))
    }

    /// The lock held as long as the owner of the running server lives.
    pub(crate) fn owner_lock(&self) -> Lock {
        Lock(self.root.join(".postgres-owner.lock"))
    }

    /// The lock shared by all who use the running server without owning it.
    pub(crate) fn users_lock(&self) -> Lock {
        Lock(self.root.join(".postgres-users.lock"))
    }

    /// Whether the folder lies where files are not meant to last.
    pub(crate) fn is_temporary(&self) -> bool {
        let places = [
            std::env::temp_dir(),
            PathBuf::from("/tmp"),
            PathBuf::from("/var/tmp"),
        ];
        places
            .iter()
            .filter_map(|place| fs::canonicalize(place).ok())
            .any(|place| self.root.starts_with(place))
    }
}

/// Makes a folder and those on the way to it. As root they stand open for passing through, because
/// the server's user must get at what is below.
pub(crate) fn create_dir(path: &Path) -> Result<(), Error> {
    let mode = if is_root() { 0o755 } else { 0o700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(Error::io("create", path))
}

fn is_empty_or_missing(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// A lock file; the lock goes with the returned `File`, also when its process is killed.
#[derive(Debug)]
pub(crate) struct Lock(pub(crate) PathBuf);

impl Lock {
    fn file(&self) -> Result<File, Error> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.0)
            .map_err(Error::io("open", &self.0))
    }

    /// The lock, if nobody holds it.
    pub(crate) fn try_take(&self) -> Result<Option<File>, Error> {
        let file = self.file()?;
        self.outcome(file.try_lock(), file)
    }

    /// A share in the lock, if nobody holds it alone.
    pub(crate) fn try_share(&self) -> Result<Option<File>, Error> {
        let file = self.file()?;
        self.outcome(file.try_lock_shared(), file)
    }

    fn outcome(&self, locked: Result<(), TryLockError>, file: File) -> Result<Option<File>, Error> {
        match locked {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &self.0)(error)),
        }
    }

    /// The lock, once whoever holds it lets go.
    pub(crate) async fn take(self) -> Result<File, Error> {
        if let Some(file) = self.try_take()? {
            return Ok(file);
        }
        tracing::info!(lock = %self.0.display(), "waiting for another process to start or stop Postgres");
        tokio::task::spawn_blocking(move || {
            let file = self.file()?;
            file.lock().map_err(Error::io("lock", &self.0))?;
            Ok(file)
        })
        .await
        .expect("locking a file does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(version: &str) -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("postgres")).unwrap();
        fs::write(dir.path().join("postgres/PG_VERSION"), version).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn pg_version_decides_and_old_ones_are_refused_with_a_remedy() {
        assert_eq!(folder_with("18\n").1.major().unwrap(), Some(18));
        let error = folder_with("14\n").1.major().unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 14") && error.contains("pg_dumpall"));
        assert!(matches!(
            folder_with("9.6\n").1.major(),
            Err(Error::TooOld { found: 9, .. })
        ));
        assert!(matches!(
            folder_with("?").1.major(),
            Err(Error::NotACluster(_))
        ));
    }

    #[test]
    fn foreign_files_are_not_taken_for_an_empty_cluster() {
        let (_dir, folder) = folder_with("15\n");
        fs::rename(
            folder.cluster().join("PG_VERSION"),
            folder.cluster().join("notes.txt"),
        )
        .unwrap();
        assert!(matches!(folder.major(), Err(Error::NotACluster(_))));
        fs::remove_file(folder.cluster().join("notes.txt")).unwrap();
        assert_eq!(folder.major().unwrap(), None);
    }

    #[test]
    fn a_lock_is_held_by_one_and_goes_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let held = folder.owner_lock().try_take().unwrap();
        assert!(held.is_some());
        assert!(folder.owner_lock().try_take().unwrap().is_none());
        drop(held);
        assert!(folder.owner_lock().try_take().unwrap().is_some());
    }
}
