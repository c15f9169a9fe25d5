//! Making a cluster: all of it, or nothing that a later start would take for one.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Error;
use crate::account::Account;
use crate::folder::Folder;
use crate::programs::Programs;

/// How the folders begin in which clusters are made.
const UNFINISHED: &str = ".postgres-new-";

/// Makes the cluster with the superuser and the database `ark`. Call with the start lock held.
///
/// It is made beside its final place and renamed when complete, so that a kill half-way leaves no
/// cluster without its database. `durable` says whether the files are flushed to disk.
pub(crate) async fn create(
    folder: &Folder,
    programs: &Programs,
    account: &Account,
    durable: bool,
) -> Result<(), Error> {
    let cluster = folder.cluster();
    tracing::info!(folder = %cluster.display(), version = programs.major, "creating the database (initdb)");
    remove_unfinished(folder.root());
    let new = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(folder.root())
        .map_err(Error::io("create a folder in", folder.root()))?;
    account.take(new.path())?;
    initdb(new.path(), programs, account, durable).await?;
    create_database(new.path(), programs, account).await?;
    fs::rename(new.path(), &cluster).map_err(Error::io("create", &cluster))
}

/// What kills left behind.
fn remove_unfinished(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes())
        {
            // What cannot be removed is in nobody's way: the next cluster gets another name.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The locale is C: byte order is what Kubernetes sorts by, it is the same in every version and on
/// every system, and no upgrade of the system's C library can break an index.
async fn initdb(
    target: &Path,
    programs: &Programs,
    account: &Account,
    durable: bool,
) -> Result<(), Error> {
    let mut command = Command::from(account.command(&programs.initdb()));
    command
        .arg("--pgdata")
        .arg(target)
        .args(["--username=ark", "--auth=trust"])
        .args(["--encoding=UTF8", "--locale=C"])
        .args(["--data-checksums", "--no-instructions"]);
    if !durable {
        command.arg("--no-sync");
    }
    let output = command
        .output()
        .await
        .map_err(Error::io("run", &programs.initdb()))?;
    if !output.status.success() {
        return Err(failed("initdb", &output));
    }
    Ok(())
}

/// Postgres in single-user mode, because the downloaded release has no `createdb`. It needs no
/// socket, and it ends with status 0 even after an error, which it only prints.
async fn create_database(
    target: &Path,
    programs: &Programs,
    account: &Account,
) -> Result<(), Error> {
    let mut child = Command::from(account.command(&programs.postgres()))
        .args(["--single", "-D"])
        .arg(target)
        .args(["-c", "log_checkpoints=off", "postgres"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io("run", &programs.postgres()))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // If the server ended early the pipe is broken; its own words below say why.
    let _ = stdin.write_all(b"CREATE DATABASE ark\n").await;
    drop(stdin);
    let output = child
        .wait_with_output()
        .await
        .map_err(Error::io("run", &programs.postgres()))?;
    let printed = String::from_utf8_lossy(&output.stderr);
    let refused = ["ERROR:", "FATAL:", "PANIC:"];
    if !output.status.success() || refused.iter().any(|word| printed.contains(word)) {
        return Err(failed("postgres --single", &output));
    }
    Ok(())
}

fn failed(program: &'static str, output: &Output) -> Error {
    let printed = String::from_utf8_lossy(&output.stderr);
    Error::Program {
        program,
        output: match printed.trim() {
            "" => output.status.to_string(),
            text => text.to_owned(),
        },
    }
}
