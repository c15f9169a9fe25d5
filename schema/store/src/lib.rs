//! Everything that is kept in Postgres, and every SQL statement of the project.
//!
//! The queue's statements stand in [`queue`], in the order of an execution's life: enqueue, claim, step, finish, report.
//! The API server's objects stand in [`objects`]. A [`Store`] is a pool that nobody else sees.

mod connect;
mod error;
pub mod objects;
pub mod queue;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;

pub use connect::{ConnectOptions, Listener, PROGRAM, Store};
pub use error::Error;
pub use objects::{
    Change, Changes, Event, Key, ListQuery, Op, Page, Revisions, Stored, Write, Written,
};
pub use queue::*;

/// What every function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
