//! `.arkrc.yaml`: settings of a user (in the home folder) and of a project (in the working folder, which wins).

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use url::Url;

const FILE: &str = ".arkrc.yaml";

/// What a configuration file may say.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    storage: Storage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Storage {
    backend: Option<String>,
    postgresql: Option<Postgresql>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Postgresql {
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    user: Option<String>,
    ssl_mode: Option<String>,
}

impl Config {
    /// Reads what there is; the project's file wins over the user's, field by field.
    pub(crate) fn read() -> anyhow::Result<Config> {
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        let user = Config::read_from(&home.join(FILE))?;
        let project = Config::read_from(Path::new(FILE))?;
        Ok(project.over(user))
    }

    fn read_from(file: &Path) -> anyhow::Result<Config> {
        match std::fs::read_to_string(file) {
            Ok(text) if text.trim().is_empty() => Ok(Config::default()),
            Ok(text) => serde_saphyr::from_str(&text)
                .with_context(|| format!("{} cannot be understood", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn over(self, other: Config) -> Config {
        let postgresql = match (self.storage.postgresql, other.storage.postgresql) {
            (Some(own), Some(other)) => Some(Postgresql {
                host: own.host.or(other.host),
                port: own.port.or(other.port),
                database: own.database.or(other.database),
                user: own.user.or(other.user),
                ssl_mode: own.ssl_mode.or(other.ssl_mode),
            }),
            (own, other) => own.or(other),
        };
        let backend = self.storage.backend.or(other.storage.backend);
        Config {
            storage: Storage {
                backend,
                postgresql,
            },
        }
    }

    /// The database that the files name; `None` where they name none.
    pub(crate) fn database_url(&self) -> anyhow::Result<Option<String>> {
        let Some(postgresql) = &self.storage.postgresql else {
            if self.storage.backend.as_deref() == Some("postgresql") {
                bail!(
                    "{FILE} sets storage.backend: postgresql; the block storage.postgresql is missing"
                );
            }
            return Ok(None);
        };
        let required = |value: &Option<String>, name: &str| {
            value
                .clone()
                .with_context(|| format!("{FILE}: storage.postgresql.{name} is required"))
        };
        let host = required(&postgresql.host, "host")?;
        let mut url = Url::parse("postgresql://localhost").expect("it is a URL");
        url.set_host(Some(&host))
            .with_context(|| format!("{FILE}: {host:?} is not a host name"))?;
        url.set_port(postgresql.port).ok();
        url.set_username(&required(&postgresql.user, "user")?).ok();
        url.set_path(postgresql.database.as_deref().unwrap_or("ark"));
        url.query_pairs_mut().append_pair(
            "sslmode",
            postgresql.ssl_mode.as_deref().unwrap_or("require"),
        );
        Ok(Some(url.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn the_project_wins_field_by_field() {
        let user =
            config("storage: {backend: postgresql, postgresql: {host: db, user: ark, port: 5433}}");
        let project =
            config("storage: {postgresql: {host: other.example.com, sslMode: verify-full}}");
        let url = project.over(user).database_url().unwrap().unwrap();
        assert_eq!(
            url,
            "postgresql://ark@other.example.com:5433/ark?sslmode=verify-full"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = config("storage: {backend: postgresql}")
            .database_url()
            .unwrap_err();
        assert!(error.to_string().contains("storage.postgresql"), "{error}");
        let error = config("storage: {postgresql: {host: db}}")
            .database_url()
            .unwrap_err();
        assert!(
            error.to_string().contains("storage.postgresql.user"),
            "{error}"
        );
        assert!(Config::default().database_url().unwrap().is_none());
    }
}
