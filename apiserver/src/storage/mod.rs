//! Between the handlers and the database: the stored form of objects, group commit, the follower of changes.

pub(crate) mod commit;
pub(crate) mod events;
pub(crate) mod follower;
pub(crate) mod form;
pub(crate) mod seal;
