//! A running server as its folder shows it: `postmaster.pid`, its process, its socket.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;

use crate::{Error, socket};

/// How often a process or its file is looked at while it starts or stops.
const LOOK: Duration = Duration::from_millis(20);

/// How long a server that says it is ready may leave its socket unanswered.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a fast shutdown may take; it writes a checkpoint.
const FAST: Duration = Duration::from_secs(60);

/// How long an immediate shutdown may take after that.
const IMMEDIATE: Duration = Duration::from_secs(10);

/// What a server says of itself in `postmaster.pid` (and, but for the state, in its socket's lock
/// file), line by line: pid, data folder, start time, port, socket folder, TCP address, shared
/// memory, state (`src/include/utils/pidfile.h` of Postgres).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: i32,
    pub(crate) cluster: PathBuf,
    pub(crate) port: u16,
    /// Empty while the server has not opened its socket, or when it has none.
    pub(crate) socket_dir: PathBuf,
    pub(crate) state: State,
}

/// How far a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Ready,
    Stopping,
}

impl Postmaster {
    /// What the folder's `postmaster.pid` says; `None` if there is none or it is only half written.
    pub(crate) fn of_cluster(cluster: &Path) -> Option<Postmaster> {
        parse(&fs::read_to_string(pid_file(cluster)).ok()?)
    }

    /// What a socket folder's lock file says.
    pub(crate) fn of_socket_dir(dir: &Path) -> Option<Postmaster> {
        let lock = format!("{}.lock", socket::path(dir, socket::PORT).display());
        parse(&fs::read_to_string(lock).ok()?)
    }

    /// Whether this very process answers on its socket. A pid alone proves nothing: after a crash
    /// or in a new container it may be anybody's.
    pub(crate) async fn answers(&self) -> bool {
        if self.socket_dir.as_os_str().is_empty() {
            return false;
        }
        let path = socket::path(&self.socket_dir, self.port);
        let Ok(stream) = UnixStream::connect(path).await else {
            return false;
        };
        match stream.peer_cred() {
            // The peer of a listening socket is the process that called listen(2).
            Ok(peer) => peer.pid().is_none_or(|pid| pid == self.pid),
            Err(_) => false,
        }
    }

    /// Whether the process exists and cannot be ruled out to be a server on this folder.
    fn may_live(&self) -> bool {
        if !exists(self.pid) {
            return false;
        }
        // A postmaster's working folder is its data folder. Elsewhere than on Linux, believe it.
        match fs::read_link(format!("/proc/{}/cwd", self.pid)) {
            Ok(cwd) => cwd == fs::canonicalize(&self.cluster).unwrap_or_default(),
            Err(_) => !cfg!(target_os = "linux"),
        }
    }
}

/// The server that runs on this folder and is ready, if there is one; one that is starting is
/// awaited, one that is stopping is seen off. Call with the start lock held.
pub(crate) async fn find_live(cluster: &Path) -> Result<Option<Postmaster>, Error> {
    let mut silent_since = None;
    let mut said = false;
    while let Some(found) = Postmaster::of_cluster(cluster) {
        let answers = found.answers().await;
        if answers && found.state == State::Ready {
            return Ok(Some(found));
        }
        if !answers && !found.may_live() {
            disarm(cluster, found.pid)?;
            return Ok(None);
        }
        if !answers && found.state == State::Ready {
            // Its file is not rewritten at once when it stops, so give it a moment.
            let since = *silent_since.get_or_insert_with(Instant::now);
            if found.socket_dir.as_os_str().is_empty() || since.elapsed() > SILENCE {
                return Err(Error::NoSocket {
                    cluster: cluster.to_owned(),
                    pid: found.pid,
                });
            }
        }
        if !said {
            tracing::info!(pid = found.pid, state = ?found.state, "waiting for the Postgres server of this folder");
            said = true;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}

/// Postgres refuses to start while the process named in a leftover `postmaster.pid` exists, unless
/// that is its parent (`CreateLockFile` in its `miscinit.c`). Here it is known to be a stranger, so
/// the file gets our own pid: the other lines stay, and with them Postgres's check that no backend
/// of the old server still runs.
fn disarm(cluster: &Path, stale: i32) -> Result<(), Error> {
    let path = pid_file(cluster);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // It was stopping, and is gone.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    tracing::info!(
        pid = stale,
        "the last Postgres server here did not shut down; recovering"
    );
    if !exists(stale) {
        return Ok(());
    }
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(&path, format!("{}\n{rest}", std::process::id())).map_err(Error::io("write", &path))
}

/// Shuts a server down, first in an orderly way ("fast"), then at once ("immediate", which makes
/// the next start recover), and returns when it is gone.
pub(crate) fn shut_down(pid: i32) -> Result<(), Error> {
    for (signal, patience) in [(Signal::SIGINT, FAST), (Signal::SIGQUIT, IMMEDIATE)] {
        if kill(Pid::from_raw(pid), signal) == Err(Errno::ESRCH) {
            return Ok(());
        }
        let began = Instant::now();
        while began.elapsed() < patience {
            if !exists(pid) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }
    Err(Error::Stop {
        pid,
        waited: FAST + IMMEDIATE,
    })
}

/// Whether there is a process with this pid.
pub(crate) fn exists(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

fn pid_file(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

fn parse(text: &str) -> Option<Postmaster> {
    let mut lines = text.lines();
    // A single-user server writes its pid negated.
    let pid: i32 = lines.next()?.trim().parse::<i32>().ok()?.checked_abs()?;
    if pid <= 1 {
        return None;
    }
    let cluster = PathBuf::from(lines.next()?);
    let _started = lines.next();
    let port = lines.next().and_then(|line| line.trim().parse().ok());
    let socket_dir = lines.next().unwrap_or_default();
    let state = match lines.nth(2).map(str::trim) {
        Some("ready" | "standby") => State::Ready,
        Some("stopping") => State::Stopping,
        _ => State::Starting,
    };
    Some(Postmaster {
        pid,
        cluster,
        port: port.unwrap_or(socket::PORT),
        socket_dir: PathBuf::from(socket_dir),
        state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str =
        "4711\n/data/postgres\n1760000000\n5432\n/tmp/ark-pg-x1y2z3\n\n   131080  6\nready   \n";

    #[test]
    fn reads_a_servers_file_as_far_as_it_is_written() {
        let full = parse(FULL).unwrap();
        assert_eq!(full.pid, 4711);
        assert_eq!(full.cluster, Path::new("/data/postgres"));
        assert_eq!(full.socket_dir, Path::new("/tmp/ark-pg-x1y2z3"));
        assert_eq!((full.port, full.state), (5432, State::Ready));

        let early = parse("4711\n/data/postgres\n1760000000\n5432\n").unwrap();
        assert_eq!(early.state, State::Starting);
        assert_eq!(early.socket_dir, Path::new(""));

        let stopping = parse(&FULL.replace("ready   ", "stopping")).unwrap();
        assert_eq!(stopping.state, State::Stopping);
        assert_eq!(parse("-4711\n/d\n").unwrap().pid, 4711);
        for broken in ["", "x\n/d\n", "0\n/d\n", "1\n/d\n", "4711"] {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
    }
}
