//! The operating-system user that the server's programs run as.

use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User, chown, getegid, geteuid};

use crate::Error;

/// Whether this process runs as root, which Postgres refuses to do.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// The home folder of this process's user.
pub(crate) fn home() -> PathBuf {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .or_else(|| Some(User::from_uid(geteuid()).ok()??.dir))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("ark-{}", geteuid())))
}

/// The user that runs the server: this process's own, or its substitute for root.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    uid: Uid,
    gid: Gid,
    pub(crate) name: String,
}

impl Account {
    /// The user for a new cluster: our own, as root `postgres`, else `nobody`.
    pub(crate) fn for_new_cluster() -> Result<Account, Error> {
        if !is_root() {
            return Ok(Account::own());
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .filter(|user| !user.uid.is_root())
            .map(Account::from)
            .ok_or(Error::NoAccount)
    }

    /// The user for the cluster in this folder: as root the folder's owner, because Postgres runs
    /// only as the owner and the folder may have been made by an ordinary user.
    pub(crate) fn for_cluster(cluster: &Path) -> Result<Account, Error> {
        let owner = fs::metadata(cluster).map(|meta| (meta.uid(), meta.gid()));
        match owner {
            Ok((uid, gid)) if is_root() && uid != 0 => Ok(Account {
                uid: Uid::from_raw(uid),
                gid: Gid::from_raw(gid),
                name: match User::from_uid(Uid::from_raw(uid)) {
                    Ok(Some(user)) => user.name,
                    _ => uid.to_string(),
                },
            }),
            _ => Account::for_new_cluster(),
        }
    }

    fn own() -> Account {
        let name = User::from_uid(geteuid()).ok().flatten();
        Account {
            uid: geteuid(),
            gid: getegid(),
            name: name.map_or_else(|| geteuid().to_string(), |user| user.name),
        }
    }

    fn differs(&self) -> bool {
        self.uid != geteuid()
    }

    /// Whether this user owns the file.
    pub(crate) fn owns(&self, meta: &Metadata) -> bool {
        meta.uid() == self.uid.as_raw()
    }

    /// Whether this user owns the folder, as Postgres demands of its data.
    pub(crate) fn owns_path(&self, path: &Path) -> Result<bool, Error> {
        let meta = fs::metadata(path).map_err(Error::io("read", path))?;
        Ok(self.owns(&meta))
    }

    /// A command that runs as this user, from `/` and with next to no environment: ours may hold
    /// keys, and `PG*` variables would change what the server does.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/");
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.differs() {
            // Setting the uid as root also drops root's supplementary groups (std's `Command`).
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Makes this user the owner of a file or folder that we made for it.
    pub(crate) fn take(&self, path: &Path) -> Result<(), Error> {
        if !self.differs() {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(std::io::Error::from)
            .map_err(Error::io("change the owner of", path))
    }

    /// Makes this user the owner of a whole tree.
    pub(crate) fn take_all(&self, path: &Path) -> Result<(), Error> {
        let meta = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
        if meta.is_dir() {
            for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
                self.take_all(&entry.map_err(Error::io("read", path))?.path())?;
            }
        }
        if meta.is_symlink() {
            return Ok(());
        }
        self.take(path)
    }

    /// Makes sure that this user can enter the folder: one of root's that is closed itself is opened
    /// for passing through, not for reading; nothing is changed on the way to it.
    pub(crate) fn admit(&self, path: &Path) -> Result<(), Error> {
        let Err(Error::Unreachable { blocked, .. }) = self.check_reaches(path) else {
            return self.check_reaches(path);
        };
        let meta = fs::metadata(path).map_err(Error::io("read", path))?;
        if fs::canonicalize(path).is_ok_and(|real| real == blocked) && meta.uid() == 0 {
            let open = Permissions::from_mode(meta.mode() & 0o7777 | 0o011);
            fs::set_permissions(path, open).map_err(Error::io("change the mode of", path))?;
        }
        self.check_reaches(path)
    }

    /// Whether this user can enter the folder.
    pub(crate) fn reaches(&self, path: &Path) -> bool {
        self.check_reaches(path).is_ok()
    }

    /// Fails with the first folder on the way to (and including) `path` that this user cannot
    /// enter. Goes by mode bits, so an access-control list that allows more is not seen.
    pub(crate) fn check_reaches(&self, path: &Path) -> Result<(), Error> {
        if !self.differs() {
            return Ok(());
        }
        let real = fs::canonicalize(path).map_err(Error::io("read", path))?;
        let mut way: Vec<&Path> = real.ancestors().collect();
        way.reverse();
        for folder in way {
            let meta = fs::metadata(folder).map_err(Error::io("read", folder))?;
            if !can_enter(self.uid.as_raw(), self.gid.as_raw(), &Mode::of(&meta)) {
                return Err(Error::Unreachable {
                    path: path.to_owned(),
                    blocked: folder.to_owned(),
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        Account {
            uid: user.uid,
            gid: user.gid,
            name: user.name,
        }
    }
}

/// What decides whether a user may enter a folder.
struct Mode {
    uid: u32,
    gid: u32,
    bits: u32,
}

impl Mode {
    fn of(meta: &Metadata) -> Mode {
        Mode {
            uid: meta.uid(),
            gid: meta.gid(),
            bits: meta.mode(),
        }
    }
}

/// The kernel's rule: the first of owner, group and others that applies decides alone.
fn can_enter(uid: u32, gid: u32, mode: &Mode) -> bool {
    let bit = if mode.uid == uid {
        0o100
    } else if mode.gid == gid {
        0o010
    } else {
        0o001
    };
    mode.bits & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_applies_decides_alone() {
        let folder = |bits| Mode {
            uid: 7,
            gid: 8,
            bits,
        };
        assert!(can_enter(7, 1, &folder(0o700)));
        assert!(!can_enter(7, 8, &folder(0o077)), "owner comes first");
        assert!(can_enter(1, 8, &folder(0o710)));
        assert!(!can_enter(1, 8, &folder(0o701)), "group comes second");
        assert!(can_enter(1, 1, &folder(0o711)));
        assert!(!can_enter(1, 1, &folder(0o770)));
    }
}
