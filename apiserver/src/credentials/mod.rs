//! What a standalone server needs to be trusted and keeps in its data folder: a certificate authority, the bearer token,
//! the key that seals Secrets, and the kubeconfig made from them.
//!
//! Servers that share a folder use the same files: each is created once, by a hard link that cannot replace another.

pub(crate) mod certificate;
pub(crate) mod service_accounts;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::Error;
use crate::credentials::certificate::Authority;

const CA_FILE: &str = "apiserver-ca.pem";
const TOKEN_FILE: &str = "token";
const SEAL_FILE: &str = "seal.key";
const KUBECONFIG_FILE: &str = "kubeconfig";
/// The authority is valid for ten years and made anew in its last one.
const CA_RENEWAL: Duration = Duration::from_secs(9 * 365 * 24 * 3600);

/// The secrets of a data folder; `Debug` shows none of them.
pub(crate) struct Credentials {
    pub(crate) authority: Authority,
    pub(crate) token: String,
    pub(crate) seal: [u8; 32],
    data_dir: PathBuf,
}

impl Credentials {
    /// Reads the data folder's credentials and makes what is not there yet.
    pub(crate) fn load(data_dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(data_dir).map_err(|e| Error::data_dir(data_dir, e))?;
        let authority = data_dir.join(CA_FILE);
        discard_old(&authority)?;
        let authority = create_once(&authority, Authority::generate)?;
        let token = create_once(&data_dir.join(TOKEN_FILE), || {
            Ok(URL_SAFE_NO_PAD.encode(random_key()?))
        })?;
        let seal_file = data_dir.join(SEAL_FILE);
        let seal = create_once(&seal_file, || Ok(STANDARD.encode(random_key()?)))?;
        let seal = STANDARD
            .decode(seal.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Error::data_dir(&seal_file, "it does not hold 32 bytes in base64"))?;
        Ok(Self {
            authority: Authority::from_pem(&authority)?,
            token: token.trim().to_owned(),
            seal,
            data_dir: data_dir.to_owned(),
        })
    }

    /// Writes `DATA_DIR/kubeconfig` for a server at `addr` and returns its path.
    pub(crate) fn write_kubeconfig(&self, addr: SocketAddr) -> Result<PathBuf, Error> {
        let path = self.data_dir.join(KUBECONFIG_FILE);
        let authority = STANDARD.encode(self.authority.certificate_pem());
        let token = &self.token;
        let text = format!(
            "apiVersion: v1
kind: Config
current-context: ark
clusters:
- name: ark
  cluster:
    server: https://{addr}
    certificate-authority-data: {authority}
contexts:
- name: ark
  context:
    cluster: ark
    user: ark
    namespace: default
users:
- name: ark
  user:
    token: {token}
"
        );
        let draft = write_private(&path, &text)?;
        fs::rename(&draft, &path).map_err(|e| Error::data_dir(&path, e))?;
        Ok(path)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

fn random_key() -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|_| Error::Random)?;
    Ok(key)
}

/// The file's text, which is made now if there is none; of several processes doing so at once, one wins.
fn create_once(path: &Path, make: impl FnOnce() -> Result<String, Error>) -> Result<String, Error> {
    let failed = |e| Error::data_dir(path, e);
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
    }
    let draft = write_private(path, &make()?)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(failed)?;
    match linked {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(failed(e)),
        _ => fs::read_to_string(path).map_err(failed),
    }
}

/// Writes a draft beside `path` that only the owner can read.
fn write_private(path: &Path, text: &str) -> Result<PathBuf, Error> {
    let suffix = uuid::Uuid::new_v4().simple().to_string();
    let draft = path.with_extension(format!("draft-{suffix}"));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|e| Error::data_dir(&draft, e))?;
    Ok(draft)
}

fn discard_old(path: &Path) -> Result<(), Error> {
    let Ok(modified) = fs::metadata(path).and_then(|m| m.modified()) else {
        return Ok(());
    };
    if modified.elapsed().is_ok_and(|age| age > CA_RENEWAL) {
        fs::remove_file(path).map_err(|e| Error::data_dir(path, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_keeps_its_credentials_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Credentials::load(folder.path()).unwrap();
        let path = first
            .write_kubeconfig("127.0.0.1:6443".parse().unwrap())
            .unwrap();
        let second = Credentials::load(folder.path()).unwrap();
        assert_eq!(first.token, second.token);
        assert_eq!(first.seal, second.seal);
        assert_eq!(
            first.authority.certificate_pem(),
            second.authority.certificate_pem()
        );
        assert!(
            fs::read_to_string(path)
                .unwrap()
                .contains("https://127.0.0.1:6443")
        );
        let mut files = 0;
        for entry in fs::read_dir(folder.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            files += 1;
        }
        assert_eq!(files, 4, "no drafts are left");
        assert!(!format!("{first:?}").contains(&first.token));
    }
}
