//! Group commit: many writes, one call, one round trip; revisions become visible in their order.

use uuid::Uuid;

use super::Key;
use crate::{Error, Result, Store};

/// What a write does. An update or delete was made from the object's given revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The key must be free.
    Create,
    /// The object must still have this revision.
    Update {
        /// The revision that the new state was made from.
        resource_version: i64,
    },
    /// The object must still have this revision.
    Delete {
        /// The revision that the last state was made from.
        resource_version: i64,
    },
}

/// One write. The object's canonical text is `head`, the new revision, `tail`.
#[derive(Debug, Clone)]
pub struct Write {
    /// The object.
    pub key: Key,
    /// `apiVersion` of the object.
    pub api_version: String,
    /// Its uid; for an update or delete the one that it must have.
    pub uid: Uuid,
    /// What is done.
    pub change: Change,
    /// The text before the revision, with the opening quote.
    pub head: String,
    /// The text after the revision, with the closing quote.
    pub tail: String,
    /// For Ark's kinds: the object as JSON text without U+0000, for the columns that people query.
    pub derived: Option<String>,
}

/// What became of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Done.
    Committed {
        /// The object's new revision.
        resource_version: i64,
    },
    /// A create found the key taken.
    Exists,
    /// The object has another uid or revision.
    Conflict,
    /// The object is not there.
    NotFound,
    /// Somebody else has locked the row; the same write may succeed later.
    Busy,
}

impl Store {
    /// Writes a batch: at most one write per object, 256 writes, 4 MiB. Each write has its own result; an error means
    /// that nothing was written, or that it is not known whether it was.
    pub async fn write(&self, batch: &[Write]) -> Result<Vec<Written>> {
        let texts = |value: fn(&Write) -> String| batch.iter().map(value).collect::<Vec<String>>();
        let uids: Vec<Uuid> = batch.iter().map(|write| write.uid).collect();
        let (changes, expected): (Vec<i16>, Vec<Option<i64>>) = batch
            .iter()
            .map(|write| match write.change {
                Change::Create => (1, None),
                Change::Update { resource_version } => (2, Some(resource_version)),
                Change::Delete { resource_version } => (3, Some(resource_version)),
            })
            .unzip();
        let derived: Vec<Option<String>> =
            batch.iter().map(|write| write.derived.clone()).collect();
        // write
        let rows = sqlx::query!(
            r#"select ordinal as "ordinal!", result as "result!", revision
               from public.ark_write_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) order by ordinal"#,
            &texts(|write| write.key.group.clone()),
            &texts(|write| write.api_version.clone()),
            &texts(|write| write.key.kind.clone()),
            &texts(|write| write.key.namespace.clone()),
            &texts(|write| write.key.name.clone()),
            &uids,
            &changes,
            &expected as &[Option<i64>],
            &texts(|write| write.head.clone()),
            &texts(|write| write.tail.clone()),
            &derived as &[Option<String>],
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| match (row.result.as_str(), row.revision) {
                ("committed", Some(resource_version)) => {
                    Ok(Written::Committed { resource_version })
                }
                ("exists", _) => Ok(Written::Exists),
                ("conflict", _) => Ok(Written::Conflict),
                ("missing", _) => Ok(Written::NotFound),
                ("busy", _) => Ok(Written::Busy),
                (other, _) => Err(Error::Corrupt(format!(
                    "unknown result of a write: {other}"
                ))),
            })
            .collect()
    }
}
