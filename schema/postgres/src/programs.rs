//! The server's programs: which are installed, and which of them fit a data folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::Error;
use crate::folder::OLDEST_MAJOR;
use crate::options::{Choice, default_cache_dir};
use crate::{Options, download};

/// `initdb` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) major: u32,
    bin: PathBuf,
}

impl Programs {
    /// The programs in a folder, if both are there and run for this user.
    pub(crate) async fn inspect(bin: &Path, account: &Account) -> Option<Programs> {
        // The server finds its share folder beside the real file, not beside a link to it.
        let postgres = fs::canonicalize(bin.join("postgres")).ok()?;
        let bin = postgres.parent()?.to_owned();
        if !bin.join("initdb").is_file() {
            return None;
        }
        let output = tokio::process::Command::from(account.command(&postgres))
            .arg("--version")
            .output()
            .await
            .ok()?;
        let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
        Some(Programs { major, bin })
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }
}

/// Finds or fetches the programs for a data folder written by `major`, or for an empty one.
pub(crate) async fn provide(
    options: &Options,
    cluster: &Path,
    major: Option<u32>,
    account: &Account,
) -> Result<Programs, Error> {
    if options.choice != Choice::Download
        && let Some(programs) = pick(installed(account).await, major)
    {
        return Ok(programs);
    }
    if options.choice == Choice::Installed {
        let wanted = match major {
            Some(major) => format!("{major} (it wrote {})", cluster.display()),
            None => format!("{OLDEST_MAJOR} or newer"),
        };
        return Err(Error::NotInstalled { wanted });
    }
    let release = download::release_for(major).ok_or_else(|| Error::NoProgramsFor {
        cluster: cluster.to_owned(),
        found: major.unwrap_or_default(),
    })?;
    let cache = options.cache_dir.clone().unwrap_or_else(default_cache_dir);
    download::provide(release, &cache, account).await
}

/// All usable programs of this machine, those on the `PATH` first.
async fn installed(account: &Account) -> Vec<Programs> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|entry| entry.path().join("bin")));
    }
    let mut found = Vec::new();
    for place in places.iter().filter(|place| place.is_absolute()) {
        if let Some(programs) = Programs::inspect(place, account).await
            && !found.contains(&programs)
        {
            found.push(programs);
        }
    }
    found
}

/// The programs that fit: exactly the folder's version, or for an empty folder the newest.
fn pick(installed: Vec<Programs>, major: Option<u32>) -> Option<Programs> {
    let mut fitting = installed.into_iter().filter(|programs| match major {
        Some(major) => programs.major == major,
        None => programs.major >= OLDEST_MAJOR,
    });
    let first = fitting.next()?;
    Some(fitting.fold(
        first,
        |best, next| {
            if next.major > best.major { next } else { best }
        },
    ))
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, also `18beta1` and `19devel`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit());
    number[..end.unwrap_or(number.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(major: u32, bin: &str) -> Programs {
        Programs {
            major,
            bin: PathBuf::from(bin),
        }
    }

    #[test]
    fn the_folders_version_decides_else_the_newest_first_found() {
        let all = vec![
            programs(15, "/a"),
            programs(17, "/b"),
            programs(17, "/c"),
            programs(14, "/d"),
        ];
        assert_eq!(pick(all.clone(), None), Some(programs(17, "/b")));
        assert_eq!(pick(all.clone(), Some(15)), Some(programs(15, "/a")));
        assert_eq!(pick(all, Some(16)), None);
        assert_eq!(pick(vec![programs(14, "/d")], None), None);
    }

    #[test]
    fn reads_the_versions_that_servers_print() {
        for (text, major) in [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 18.6\n", Some(18)),
            ("postgres (PostgreSQL) 19devel\n", Some(19)),
            ("something else 15\n", None),
        ] {
            assert_eq!(major_of(text), major, "{text}");
        }
    }
}
