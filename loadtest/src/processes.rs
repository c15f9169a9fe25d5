//! The roles as processes of the `ark` executable, each ready before the next needs it, and a server to compare with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a process may take to say that it is ready.
const START: Duration = Duration::from_secs(60);
/// How long one may take to end in order.
const STOP: Duration = Duration::from_secs(20);

/// The executable: `ARK_BIN`, else `ark` in the folder above that of this benchmark.
///
/// # Errors
/// When there is none, with the command that builds it.
pub fn program() -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os("ARK_BIN") {
        return Ok(program.into());
    }
    let own = std::env::current_exe().context("this program has no path")?;
    let folder = own.parent().and_then(Path::parent);
    let program = folder.map(|folder| folder.join("ark"));
    program.filter(|program| program.is_file()).context(
        "there is no `ark` beside this benchmark; run `cargo build --release -p ark-cli`, or name one with ARK_BIN",
    )
}

/// The folder in which the processes work and log.
pub(crate) struct Workplace {
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// A process that is ready.
pub(crate) struct Process {
    name: String,
    child: Child,
}

/// The fake provider.
pub(crate) struct Mock {
    pub(crate) process: Process,
    pub(crate) url: String,
}

/// The API server.
pub(crate) struct Apiserver {
    pub(crate) process: Process,
    pub(crate) kubeconfig: String,
}

impl Workplace {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            program: program()?,
            folder: tempfile::Builder::new().prefix("ark-drain").tempdir()?,
        })
    }

    /// Leaves the folder where it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    pub(crate) async fn migrate(&self, database_url: &str) -> anyhow::Result<()> {
        let output = Command::new(&self.program)
            .args(["migrate", "--database-url", database_url])
            .output()
            .await
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`ark migrate` failed: {said}");
        Ok(())
    }

    pub(crate) async fn mock_provider(&self) -> anyhow::Result<Mock> {
        let (process, said) = self.start("mock-provider", &["mock-provider"]).await?;
        Ok(Mock { process, url: said })
    }

    pub(crate) async fn apiserver(&self, database_url: &str) -> anyhow::Result<Apiserver> {
        let data_dir = self.folder.path().join("data");
        let data_dir = data_dir
            .to_str()
            .context("the temporary folder is not UTF-8")?;
        let arguments = [
            "apiserver",
            "--database-url",
            database_url,
            "--data-dir",
            data_dir,
            "--port",
            "0",
        ];
        let (process, said) = self.start("apiserver", &arguments).await?;
        let (_, kubeconfig) = said
            .split_once(" kubeconfig ")
            .with_context(|| format!("the API server names no kubeconfig: ready {said}"))?;
        Ok(Apiserver {
            process,
            kubeconfig: kubeconfig.to_owned(),
        })
    }

    pub(crate) async fn dispatcher(
        &self,
        database_url: &str,
        kubeconfig: &str,
    ) -> anyhow::Result<Process> {
        let arguments = [
            "dispatcher",
            "--database-url",
            database_url,
            "--kubeconfig",
            kubeconfig,
            "--leader-elect=false",
            "--authorization",
            "off",
        ];
        Ok(self.start("dispatcher", &arguments).await?.0)
    }

    pub(crate) async fn worker(
        &self,
        number: u16,
        slots: u32,
        database_url: &str,
        kubeconfig: &str,
        mock_url: &str,
    ) -> anyhow::Result<Process> {
        let slots = slots.to_string();
        let arguments = [
            "worker",
            "--database-url",
            database_url,
            "--kubeconfig",
            kubeconfig,
            "--slots",
            &slots,
            "--provider",
            "mock",
            "--mock-url",
            mock_url,
        ];
        let name = format!("worker-{number}");
        Ok(self.start(&name, &arguments).await?.0)
    }

    /// Starts a server of the same kinds that is built from Go sources, as Kubernetes is; its files are in the folder.
    pub(crate) async fn reference(&self, sources: &Path) -> anyhow::Result<Apiserver> {
        let program = self.folder.path().join("reference-server");
        let built = Command::new("go")
            .args(["build", "-C"])
            .arg(sources)
            .arg("-o")
            .arg(&program)
            .arg(".")
            .status()
            .await
            .context("cannot run `go`")?;
        ensure!(built.success(), "the reference server cannot be built");
        let data_dir = self.folder.path().join("reference");
        let mut command = Command::new(&program);
        command.current_dir(sources).arg("--dir").arg(&data_dir);
        let (process, _) = self.start_command("reference", command).await?;
        let kubeconfig = data_dir.join("kubeconfig-reference");
        Ok(Apiserver {
            process,
            kubeconfig: kubeconfig.to_string_lossy().into_owned(),
        })
    }

    async fn start(&self, name: &str, arguments: &[&str]) -> anyhow::Result<(Process, String)> {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.start_command(name, command).await
    }

    /// Starts a process and waits for its line `ready`; returns what stands after the word.
    async fn start_command(
        &self,
        name: &str,
        mut command: Command,
    ) -> anyhow::Result<(Process, String)> {
        let log = self.folder.path().join(format!("{name}.log"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let said = tokio::time::timeout(START, ready(&mut lines))
            .await
            .with_context(|| format!("{name} did not get ready within {START:?}"))??
            .with_context(|| format!("{name} ended before it was ready"))?;
        // Whoever writes to a pipe that nobody reads stops some day.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let process = Process {
            name: name.to_owned(),
            child,
        };
        Ok((process, said))
    }
}

async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> std::io::Result<Option<String>> {
    while let Some(line) = lines.next_line().await? {
        if let Some(rest) = line.strip_prefix("ready") {
            return Ok(Some(rest.trim().to_owned()));
        }
    }
    Ok(None)
}

impl Process {
    /// Ends the process in order, as Kubernetes does.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let Some(pid) = self.child.id() else {
            bail!("{} ended while it was needed", self.name);
        };
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)
            .with_context(|| format!("{} ended while it was needed", self.name))?;
        let ended: ExitStatus = tokio::time::timeout(STOP, self.child.wait())
            .await
            .with_context(|| format!("{} did not stop within {STOP:?}", self.name))??;
        ensure!(ended.success(), "{} ended with {ended}", self.name);
        Ok(())
    }
}
