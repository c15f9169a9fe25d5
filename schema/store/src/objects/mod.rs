//! The API server's objects: written in batches, in commit order; read as they are or as they were.

mod changes;
mod read;
mod write;

pub use changes::{Changes, Event, Op, Revisions};
pub use read::{ListQuery, Page, Stored};
pub use write::{Change, Write, Written};

/// The channel nudged when objects have changed.
pub const CHANGES: &str = "ark_changes";

/// The API group whose kinds are kept in `resources`.
pub const ARK_GROUP: &str = "ark.mckinsey.com";

/// What identifies an object at one time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// The name.
    pub name: String,
}
