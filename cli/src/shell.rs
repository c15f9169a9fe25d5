//! What shells and manuals want to know of the commands.

use std::io::Write;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

/// Prints a completion script, e.g. `source <(ark completion bash)`.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(crate) fn print(self, mut command: Command) -> anyhow::Result<()> {
        clap_complete::generate(self.shell, &mut command, "ark", &mut std::io::stdout());
        Ok(())
    }
}

/// Prints a manual page of one command, or of all in one: `ark man | man -l -`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command; without it, ark itself
    command: Option<String>,
}

impl Man {
    pub(crate) fn print(self, command: Command) -> anyhow::Result<()> {
        let command = match &self.command {
            Some(name) => {
                let found = command.find_subcommand(name).cloned();
                found
                    .with_context(|| format!("there is no command {name}"))?
                    .name("ark")
                    .display_name(format!("ark-{name}"))
            }
            None => command,
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        Ok(())
    }
}
