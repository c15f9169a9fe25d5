//! What a caller may choose, and where things lie when it does not.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;
use crate::account::{self, Account};

/// Where the server's programs come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Installed programs if there are any that fit, else the downloaded ones.
    #[default]
    Auto,
    /// Only programs on the `PATH` or under `/usr/lib/postgresql/*/bin`.
    Installed,
    /// Only the pinned release, fetched once into the cache folder.
    Download,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::Auto => "auto",
            Choice::Installed => "installed",
            Choice::Download => "download",
        })
    }
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Choice::Auto),
            "installed" => Ok(Choice::Installed),
            "download" => Ok(Choice::Download),
            other => Err(Error::UnknownChoice(other.to_owned())),
        }
    }
}

/// What to start, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of this installation; the server's own data lies below it in `postgres`, its log
    /// in `postgres.log`. Made if it does not exist.
    pub data_dir: PathBuf,
    /// Where downloaded programs are kept; by default `~/.cache/ark`, as root `/var/cache/ark`.
    pub cache_dir: Option<PathBuf>,
    /// Where the programs come from.
    pub choice: Choice,
    /// Server settings by name, over ours; they hold for this start only. With `fsync` `off` a new
    /// cluster is not flushed to disk either.
    pub settings: Vec<(String, String)>,
}

/// The data folder of `ark up`: `~/.local/share/ark`, as root `/var/lib/ark`.
pub fn default_data_dir() -> PathBuf {
    if account::is_root() {
        PathBuf::from("/var/lib/ark")
    } else {
        account::home().join(".local/share/ark")
    }
}

/// The cache folder when [`Options::cache_dir`] is not given.
pub(crate) fn default_cache_dir() -> PathBuf {
    if account::is_root() {
        PathBuf::from("/var/cache/ark")
    } else {
        account::home().join(".cache/ark")
    }
}

/// The folder in which to make a temporary data folder: the system's, or `/tmp` where the user that
/// will run the server cannot reach the system's (root with a private `TMPDIR`).
pub fn temporary_dir() -> PathBuf {
    let system = std::env::temp_dir();
    match Account::for_new_cluster() {
        Ok(account) if !account.reaches(&system) => PathBuf::from("/tmp"),
        _ => system,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_what_it_prints_and_nothing_else() {
        for choice in [Choice::Auto, Choice::Installed, Choice::Download] {
            assert_eq!(choice.to_string().parse::<Choice>().unwrap(), choice);
        }
        let error = "docker".parse::<Choice>().unwrap_err();
        assert!(error.to_string().contains("auto, installed or download"));
    }
}
