//! The short private folder with the server's socket, and the URL that leads there.

use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::account::Account;

/// How the names of our socket folders begin.
const PREFIX: &str = "ark-pg-";

/// The port in the socket's name; nothing listens on TCP.
pub(crate) const PORT: u16 = 5432;

/// The longest path of a Unix socket: `sun_path` without its final zero (unix(7)).
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where socket folders may lie, best first. `/tmp` is for a temporary folder with too long a path.
pub(crate) fn places() -> Vec<PathBuf> {
    let mut places = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
    places.dedup();
    places
}

/// Makes the folder of mode 0700, owned by the server's user, for the socket of this data folder.
///
/// Its name depends on the data folder only, so that clients find a restarted server again. Call
/// with the folder's locks held and no server running: what lies there is of a server that died.
pub(crate) fn create(root: &Path, account: &Account) -> Result<PathBuf, Error> {
    let places = places();
    let place = places
        .iter()
        .find(|place| fits(place) && account.reaches(place))
        .or(places.last())
        .expect("there is always /tmp");
    account.check_reaches(place)?;
    let dir = place.join(name(root));
    if fs::symlink_metadata(&dir).is_ok_and(|meta| account.owns(&meta)) {
        fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
    }
    // Fails if somebody else took the name: nothing in a shared folder is to be trusted.
    DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .map_err(Error::io("create", &dir))?;
    account.take(&dir)?;
    Ok(dir)
}

/// The name of a data folder's socket folder: the FNV-1a hash of its path.
fn name(root: &Path) -> String {
    let path = root.as_os_str().as_bytes();
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{PREFIX}{hash:016x}")
}

/// The path of the socket in its folder, as Postgres names it.
pub(crate) fn path(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!(".s.PGSQL.{port}"))
}

/// Whether a socket folder was made by us, to go by its name.
pub(crate) fn is_ours(dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default();
    name.as_bytes().starts_with(PREFIX.as_bytes())
}

/// Removes a socket folder of ours; one that somebody else chose stays.
pub(crate) fn remove(dir: &Path) {
    if is_ours(dir)
        && let Err(error) = fs::remove_dir_all(dir)
    {
        tracing::debug!(dir = %dir.display(), %error, "socket folder not removed");
    }
}

/// The URL of the database `ark` for libpq and sqlx.
pub(crate) fn url(dir: &Path, port: u16) -> String {
    let host = percent_encode(dir.as_os_str().as_bytes());
    match port {
        PORT => format!("postgresql:///ark?host={host}&user=ark"),
        port => format!("postgresql:///ark?host={host}&port={port}&user=ark"),
    }
}

fn fits(place: &Path) -> bool {
    path(&place.join(name(place)), PORT).as_os_str().len() <= LONGEST
}

fn percent_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_leads_to_the_socket_also_from_odd_folders() {
        let plain = Path::new("/tmp/ark-pg-aB3xyz");
        assert_eq!(
            url(plain, 5432),
            "postgresql:///ark?host=/tmp/ark-pg-aB3xyz&user=ark"
        );
        let odd = Path::new("/tmp/a b&c%é");
        assert_eq!(
            url(odd, 5433),
            "postgresql:///ark?host=/tmp/a%20b%26c%25%C3%A9&port=5433&user=ark"
        );
    }

    #[test]
    fn a_folder_fits_up_to_the_last_byte_of_a_socket_path() {
        let rest = "/ark-pg-0123456789abcdef/.s.PGSQL.5432".len();
        let longest = format!("/{}", "d".repeat(LONGEST - rest - 1));
        assert!(fits(Path::new(&longest)));
        assert!(!fits(Path::new(&format!("{longest}d"))));
    }
}
