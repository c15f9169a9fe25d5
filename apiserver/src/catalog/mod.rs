//! The table of kinds that the server serves: Ark's own, and the core kinds that Ark's clients need beside them.

pub(crate) mod core_kinds;

use std::sync::LazyLock;

use ark_api::kinds::{KINDS, Kind};
use serde_json::Value;

/// One served resource. Every handler works from this description alone.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) columns: Vec<Column>,
    pub(crate) rules: Rules,
}

/// What the server knows about a resource's content.
#[derive(Clone, Copy)]
pub(crate) enum Rules {
    /// Schema, defaulting, validation and a status subresource.
    Ark(&'static Kind),
    /// Stored as it comes, with metadata checked. The text is a warning that every write answers with.
    Stored { warning: Option<&'static str> },
    /// Sealed in the database; `stringData` is folded into `data`.
    Secret,
    /// Stored as core/v1 Events whatever version it is written and read in.
    Event,
    /// Deleted only when it is empty.
    Namespace,
    /// Has tokens.
    ServiceAccount,
    /// Answered at once, never stored.
    Review,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ark(_) => "Ark",
            Self::Stored { .. } => "Stored",
            Self::Secret => "Secret",
            Self::Event => "Event",
            Self::Namespace => "Namespace",
            Self::ServiceAccount => "ServiceAccount",
            Self::Review => "Review",
        })
    }
}

/// A column of a Table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// OpenAPI type: `string`, `integer`, `date`.
    pub(crate) type_: &'static str,
    pub(crate) format: &'static str,
    pub(crate) cell: Cell,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell {
    /// A JSONPath.
    Path(&'static str),
    /// The number of entries of the map or list at a JSONPath.
    Count(&'static str),
    /// `kind/name` of the object reference at a JSONPath.
    Reference(&'static str),
}

impl Resource {
    /// `queries.ark.mckinsey.com`, or `secrets` in the core group.
    pub(crate) fn qualified(&self) -> String {
        qualify(&self.plural, &self.group)
    }

    /// `Query.ark.mckinsey.com`, or `Secret` in the core group.
    pub(crate) fn qualified_kind(&self) -> String {
        qualify(&self.kind, &self.group)
    }

    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    pub(crate) fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// The group under which objects are stored; both kinds of Events share one.
    pub(crate) fn stored_group(&self) -> &str {
        match self.rules {
            Rules::Event => "",
            _ => &self.group,
        }
    }

    /// Ark's description, for the kinds of its group.
    pub(crate) fn ark(&self) -> Option<&'static Kind> {
        match self.rules {
            Rules::Ark(kind) => Some(kind),
            _ => None,
        }
    }

    pub(crate) fn schema(&self) -> Option<&'static Value> {
        self.ark().map(Kind::schema)
    }

    /// Whether `status` is written only through the status subresource.
    pub(crate) fn has_status(&self) -> bool {
        self.ark().is_some()
    }

    /// Whether an object goes when it is deleted and has no finalizers; a Namespace goes a little later.
    pub(crate) fn deletes_at_once(&self) -> bool {
        !matches!(self.rules, Rules::Namespace)
    }

    pub(crate) fn is_review(&self) -> bool {
        matches!(self.rules, Rules::Review)
    }

    /// The verbs of discovery.
    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.is_review() {
            &["create"]
        } else {
            &[
                "create", "delete", "get", "list", "patch", "update", "watch",
            ]
        }
    }
}

fn qualify(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

/// `GROUP/VERSION`, or only the version in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// A group and version, in the order in which discovery lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupVersion {
    pub(crate) group: String,
    pub(crate) version: String,
}

static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let ark = KINDS.iter().map(from_ark);
    ark.chain(core_kinds::resources()).collect()
});

fn from_ark(kind: &'static Kind) -> Resource {
    let columns = kind.columns.iter().map(|c| Column {
        name: c.name,
        type_: c.type_,
        format: c.format,
        cell: Cell::Path(c.json_path),
    });
    let mut columns: Vec<_> = columns.collect();
    if columns.is_empty() {
        columns.push(core_kinds::AGE);
    }
    Resource {
        group: ark_api::GROUP.to_owned(),
        version: kind.version.to_owned(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
        singular: kind.singular.to_owned(),
        namespaced: kind.namespaced,
        short_names: &[],
        columns,
        rules: Rules::Ark(kind),
    }
}

/// All served resources.
pub(crate) fn resources() -> &'static [Resource] {
    &RESOURCES
}

/// The resource of that group, version and plural name.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The resource of a kind that there must be.
pub(crate) fn namespaces() -> &'static Resource {
    find("", "v1", "namespaces").expect("the table has namespaces")
}

/// What a ServiceAccount's `token` takes and answers; it is no collection of its own.
pub(crate) fn token_requests() -> &'static Resource {
    static TOKEN_REQUESTS: LazyLock<Resource> = LazyLock::new(core_kinds::token_request);
    &TOKEN_REQUESTS
}

/// Every group and version once; a group's preferred version comes first.
pub(crate) fn group_versions() -> Vec<GroupVersion> {
    let mut found: Vec<GroupVersion> = Vec::new();
    for r in resources() {
        let next = GroupVersion {
            group: r.group.clone(),
            version: r.version.clone(),
        };
        if !found.contains(&next) {
            found.push(next);
        }
    }
    found.sort_by(|a, b| (&a.group, &a.version).cmp(&(&b.group, &b.version)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_found_by_its_url_and_is_unique() {
        for r in resources() {
            let found = find(&r.group, &r.version, &r.plural).unwrap();
            assert!(std::ptr::eq(found, r), "{} is listed twice", r.qualified());
        }
        assert_eq!(group_versions()[0].group, "");
        let ark: Vec<_> = group_versions()
            .into_iter()
            .filter(|g| g.group == ark_api::GROUP)
            .map(|g| g.version)
            .collect();
        assert_eq!(ark, ["v1alpha1", "v1prealpha1"]);
    }
}
