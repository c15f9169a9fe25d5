//! A server from start to stop.

use std::fs::File;

use crate::account::Account;
use crate::folder::{Folder, Lock};
use crate::launch::{Launch, Launched};
use crate::postmaster::{self, Postmaster};
use crate::programs;
use crate::{Error, Options, cluster, socket, sweep};

/// A local Postgres server that is ready for connections.
///
/// Dropping it shuts the server down like [`stop`](Server::stop), if it is ours, and waits for that.
#[derive(Debug)]
pub struct Server {
    postmaster: Postmaster,
    url: String,
    adopted: bool,
    ownership: Ownership,
}

/// Who shuts the server down.
#[derive(Debug)]
enum Ownership {
    /// We, who started it; the thread that waits for it keeps the owner lock.
    Started(Launched),
    /// We, because its owner had died: the owner lock is ours now. Others may have come before us.
    Inherited { owner: File, users: Lock },
    /// Another process; our share in the users' lock says that we need the server.
    NotOurs { _using: Option<File> },
    /// Nobody any more.
    Ended,
}

impl Server {
    /// Adopts the server of the data folder, or finds or fetches the programs, makes the cluster if
    /// there is none, and starts one. Returns when it answers.
    ///
    /// # Errors
    /// Each [`Error`] says what was missing or in the way, and the remedy.
    pub async fn start(options: Options) -> Result<Server, Error> {
        let folder = Folder::open(&options.data_dir)?;
        let account = Account::for_cluster(&folder.cluster())?;
        account.admit(folder.root())?;
        let _starting = folder.start_lock().take().await?;
        let server = match postmaster::find_live(&folder.cluster()).await? {
            Some(live) => Server::adopt(&folder, live)?,
            None => Server::launch(&options, &folder, &account).await?,
        };
        sweep::abandoned_servers(&account).await;
        Ok(server)
    }

    fn adopt(folder: &Folder, postmaster: Postmaster) -> Result<Server, Error> {
        tracing::info!(pid = postmaster.pid, folder = %folder.cluster().display(), "using the Postgres server that runs here");
        let ownership = match folder.owner_lock().try_take()? {
            Some(owner) if socket::is_ours(&postmaster.socket_dir) => Ownership::Inherited {
                owner,
                users: folder.users_lock(),
            },
            _ => Ownership::NotOurs {
                _using: folder.users_lock().try_share()?,
            },
        };
        Ok(Server {
            url: socket::url(&postmaster.socket_dir, postmaster.port),
            postmaster,
            adopted: true,
            ownership,
        })
    }

    async fn launch(
        options: &Options,
        folder: &Folder,
        account: &Account,
    ) -> Result<Server, Error> {
        let owner = folder.owner_lock().take().await?;
        let major = folder.major()?;
        let programs = programs::provide(options, &folder.cluster(), major, account).await?;
        if major.is_none() {
            let durable = !options.settings.contains(&("fsync".into(), "off".into()));
            cluster::create(folder, &programs, account, durable).await?;
        }
        if !account.owns_path(&folder.cluster())? {
            account.take_all(&folder.cluster())?;
        }
        let socket_dir = socket::create(folder.root(), account)?;
        let launch = Launch {
            folder,
            programs: &programs,
            account,
            socket_dir: &socket_dir,
            settings: &options.settings,
        };
        let (postmaster, launched) = launch
            .run(owner)
            .await
            .inspect_err(|_| socket::remove(&socket_dir))?;
        tracing::info!(pid = postmaster.pid, version = programs.major, user = %account.name, "Postgres is ready");
        Ok(Server {
            url: socket::url(&postmaster.socket_dir, postmaster.port),
            postmaster,
            adopted: false,
            ownership: Ownership::Started(launched),
        })
    }

    /// Where the database `ark` is: `postgresql:///ark?host=SOCKET_DIR&user=ark`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server ran already.
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> i32 {
        self.postmaster.pid
    }

    /// Shuts the server down (fast: open transactions are rolled back) and returns when it is gone.
    /// One that belongs to another process is left alone.
    ///
    /// # Errors
    /// [`Error::Stop`] if it does not end.
    pub async fn stop(mut self) -> Result<(), Error> {
        tokio::task::spawn_blocking(move || self.end())
            .await
            .expect("stopping does not panic")
    }

    fn end(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.ownership, Ownership::Ended) {
            Ownership::Started(launched) => launched.end(self.postmaster.pid),
            Ownership::Inherited { owner, users } => {
                let Some(_alone) = users.try_take()? else {
                    tracing::info!(
                        pid = self.postmaster.pid,
                        "leaving Postgres to its other users"
                    );
                    return Ok(());
                };
                postmaster::shut_down(self.postmaster.pid)?;
                socket::remove(&self.postmaster.socket_dir);
                drop(owner);
                Ok(())
            }
            Ownership::NotOurs { .. } | Ownership::Ended => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the local Postgres server goes on");
        }
    }
}
