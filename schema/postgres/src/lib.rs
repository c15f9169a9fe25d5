//! A real Postgres server for one machine, with nothing to configure and no root needed.
//!
//! [`Server::start`] takes a data folder and answers with a URL. On the way it
//!
//! 1. takes the folder's lock, so that of two starters one starts and the other adopts,
//! 2. adopts a server that already runs on the folder,
//! 3. else finds the programs ([`Choice`]): those installed, or the pinned release from the cache,
//!    always of the major version that wrote the folder,
//! 4. makes the database cluster if there is none,
//! 5. starts the server behind a Unix socket in a short private folder and waits until it answers.
//!
//! There is no TCP and no password: whoever can enter the socket's folder (mode 0700) is trusted.
//!
//! # How long a server lives
//!
//! A server belongs to the process that started it: [`Server::stop`], or dropping the [`Server`],
//! shuts it down. A server adopted while its owner lives is left alone. When an owner dies without
//! stopping its server (`kill -9`, or a `static`), the server goes on, so that nothing is lost,
//! until
//!
//! * the next start on the same folder, which adopts it and becomes its owner (but leaves it to
//!   those who had adopted it before), or
//! * for a folder below the system's temporary folder, which nobody will open again: any later
//!   start by the same user, which shuts it down unless somebody still uses it; or the removal of
//!   the folder, which Postgres itself notices within a minute.
//!
//! # As root
//!
//! Postgres refuses to run as root. Then the programs run as the owner of an existing data folder,
//! else as `postgres` if there is such a user, else as `nobody`, and every folder that this user
//! needs must be reachable for it: [`Error::Unreachable`] names the one that is not.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod cluster;
mod download;
mod error;
mod folder;
mod launch;
mod options;
mod postmaster;
mod programs;
mod server;
mod socket;
mod sweep;

pub use error::Error;
pub use options::{Choice, Options, default_data_dir, temporary_dir};
pub use server::Server;
