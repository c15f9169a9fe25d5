//! Starting the server's process and waiting until it answers.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Error;
use crate::account::Account;
use crate::folder::Folder;
use crate::postmaster::{self, Postmaster, State};
use crate::programs::Programs;
use crate::socket;

/// How often the server is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(20);

/// How long backends of a killed server may keep its shared memory; they notice in moments.
const LEFTOVER_BACKENDS: Duration = Duration::from_secs(30);

/// After what time of starting, which may be a long recovery, we say so.
const SAY_AFTER: Duration = Duration::from_secs(5);

/// A log that is larger is put aside at the next start.
const LARGEST_LOG: u64 = 16 * 1024 * 1024;

/// Our settings, for a machine that is shared with the rest of the user's work.
///
/// The queue's tables are emptied as fast as they fill, so autovacuum comes early and often.
/// `max_slot_wal_keep_size` keeps a forgotten replication slot from filling the disk.
const SETTINGS: [(&str, &str); 17] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "200"),
    ("shared_buffers", "128MB"),
    ("wal_level", "logical"),
    ("max_wal_size", "2GB"),
    ("max_slot_wal_keep_size", "1GB"),
    ("autovacuum_naptime", "10s"),
    ("autovacuum_vacuum_scale_factor", "0.05"),
    ("autovacuum_analyze_scale_factor", "0.05"),
    ("autovacuum_vacuum_cost_limit", "2000"),
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_checkpoints", "off"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
];

/// What it takes to start one server.
pub(crate) struct Launch<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) programs: &'a Programs,
    pub(crate) account: &'a Account,
    pub(crate) socket_dir: &'a Path,
    pub(crate) settings: &'a [(String, String)],
}

/// A server that we started.
#[derive(Debug)]
pub(crate) struct Launched {
    /// Set before a shutdown, so that the end is not reported as a surprise.
    expected: Arc<AtomicBool>,
    waiter: JoinHandle<()>,
}

impl Launched {
    /// Shuts the server down, unless it has ended by itself, and returns when all is put away.
    pub(crate) fn end(self, pid: i32) -> Result<(), Error> {
        if !self.waiter.is_finished() {
            self.expected.store(true, Ordering::SeqCst);
            postmaster::shut_down(pid)?;
        }
        self.waiter
            .join()
            .expect("waiting for a child does not panic");
        Ok(())
    }
}

impl Launch<'_> {
    /// Starts the server and waits until it answers. The owner lock is kept until it ends.
    pub(crate) async fn run(&self, owner: File) -> Result<(Postmaster, Launched), Error> {
        let began = Instant::now();
        loop {
            let (mut log, from) = self.open_log()?;
            let mut starting = Starting(Some(self.spawn(&log)?));
            if let Some(postmaster) = self.wait_until_ready(&mut starting).await? {
                return Ok((postmaster, self.watch(starting, owner)?));
            }
            let output = tail(&mut log, from);
            // Postgres: "pre-existing shared memory block (key .., ID ..) is still in use"
            if !output.contains("is still in use") || began.elapsed() > LEFTOVER_BACKENDS {
                return Err(Error::Start {
                    cluster: self.folder.cluster(),
                    output,
                    log: self.folder.log(),
                });
            }
            tokio::time::sleep(LOOK * 10).await;
        }
    }

    fn open_log(&self) -> Result<(File, u64), Error> {
        let path = self.folder.log();
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > LARGEST_LOG) {
            let aside = path.with_extension("log.1");
            fs::rename(&path, &aside).map_err(Error::io("rename", &path))?;
        }
        let log = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let from = log.metadata().map_err(Error::io("read", &path))?.len();
        Ok((log, from))
    }

    fn spawn(&self, log: &File) -> Result<Child, Error> {
        let stderr = log
            .try_clone()
            .map_err(Error::io("open", &self.folder.log()))?;
        let mut command: Command = self.account.command(&self.programs.postgres());
        command.arg("-D").arg(self.folder.cluster());
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            // Its own group: Ctrl-C in a terminal is for us, and the server must outlive our work.
            .process_group(0)
            .spawn()
            .map_err(Error::io("run", &self.programs.postgres()))
    }

    /// Ours, then the caller's; Postgres takes the last value of a name.
    fn settings(&self) -> Vec<(String, String)> {
        let own = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let port = socket::PORT.to_string();
        // The setting is a list, so a folder with a comma or a space stands in quotes.
        let dir = self.socket_dir.display().to_string().replace('"', "\"\"");
        let mut settings = Vec::from(own);
        settings.push(("port".to_owned(), port));
        settings.push(("unix_socket_directories".to_owned(), format!("\"{dir}\"")));
        settings.extend(self.settings.iter().cloned());
        settings
    }

    /// The ready server, or `None` when it ended instead.
    async fn wait_until_ready(&self, starting: &mut Starting) -> Result<Option<Postmaster>, Error> {
        let cluster = self.folder.cluster();
        let child = starting.child();
        let pid = i32::try_from(child.id()).expect("a pid is a positive i32");
        let began = Instant::now();
        let mut said = false;
        loop {
            if let Some(found) = Postmaster::of_cluster(&cluster)
                && found.pid == pid
                && found.state == State::Ready
                && found.answers().await
            {
                return Ok(Some(found));
            }
            let ended = child.try_wait().map_err(Error::io("wait for", &cluster))?;
            if ended.is_some() {
                return Ok(None);
            }
            if !said && began.elapsed() > SAY_AFTER {
                tracing::info!(log = %self.folder.log().display(), "Postgres is still starting");
                said = true;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for the server's end on a thread, because a child that nobody waits for stays a zombie
    /// and no runtime may be there when it ends. The socket folder goes before the owner lock, whose
    /// next holder may make it again.
    fn watch(&self, mut starting: Starting, owner: File) -> Result<Launched, Error> {
        let expected = Arc::new(AtomicBool::new(false));
        let awaited = Arc::clone(&expected);
        let (log, socket_dir) = (self.folder.log(), self.socket_dir.to_owned());
        let waiter = std::thread::Builder::new()
            .name("postgres-wait".to_owned())
            .spawn(move || {
                let ended = starting.child().wait();
                if !awaited.load(Ordering::SeqCst) {
                    tracing::error!(?ended, log = %log.display(), "the local Postgres server ended by itself");
                }
                socket::remove(&socket_dir);
                drop(owner);
            })
            .map_err(Error::io("watch", &self.folder.cluster()))?;
        Ok(Launched { expected, waiter })
    }
}

/// A server that is not ready yet; it ends with the attempt to start it, also when the caller drops
/// the future.
struct Starting(Option<Child>);

impl Starting {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("the child is taken only at the end")
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Either it has ended already, or the kill ends it: nobody uses it yet.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The last lines that the server logged since `from`.
fn tail(log: &mut File, from: u64) -> String {
    let mut text = Vec::new();
    let read = log
        .seek(SeekFrom::Start(from))
        .and_then(|_| log.read_to_end(&mut text));
    if read.is_err() || text.is_empty() {
        return "it said nothing".to_owned();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
