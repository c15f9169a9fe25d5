//! What can be done to objects, one file per verb.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod patch;
pub(crate) mod read;
pub(crate) mod token;
pub(crate) mod update;
pub(crate) mod watch;
