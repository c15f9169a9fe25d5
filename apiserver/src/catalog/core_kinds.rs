//! The core kinds of a standalone server: what Ark's manifests and controllers refer to where no cluster is.

use self::Scope::{Cluster, Namespaced};
use crate::catalog::{Cell, Column, Resource, Rules};

pub(crate) const AGE: Column = Column {
    name: "Age",
    type_: "date",
    format: "",
    cell: Cell::Path(".metadata.creationTimestamp"),
};

pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
const LEASES: &str = "coordination.k8s.io";
const EVENTS: &str = "events.k8s.io";
const ACCESS: &str = "authorization.k8s.io";
const IDENTITY: &str = "authentication.k8s.io";
const RBAC_WARNING: &str =
    "this server stores RBAC objects but does not enforce them: its token may do everything";

const PLAIN: Rules = Rules::Stored { warning: None };
const REVIEW: Rules = Rules::Review;
const UNENFORCED: Rules = Rules::Stored {
    warning: Some(RBAC_WARNING),
};

/// Whether objects live in namespaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespaced,
    Cluster,
}

/// Group, kind, short names, scope and rules; the version is v1 everywhere.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    Scope,
    Rules,
);

const TABLE: [Row; 16] = [
    ("", "ConfigMap", &["cm"], Namespaced, PLAIN),
    ("", "Event", &["ev"], Namespaced, Rules::Event),
    ("", "Namespace", &["ns"], Cluster, Rules::Namespace),
    ("", "Secret", &[], Namespaced, Rules::Secret),
    (
        "",
        "ServiceAccount",
        &["sa"],
        Namespaced,
        Rules::ServiceAccount,
    ),
    ("", "Service", &["svc"], Namespaced, PLAIN),
    (LEASES, "Lease", &[], Namespaced, PLAIN),
    (EVENTS, "Event", &["ev"], Namespaced, Rules::Event),
    (RBAC, "ClusterRole", &[], Cluster, UNENFORCED),
    (RBAC, "ClusterRoleBinding", &[], Cluster, UNENFORCED),
    (RBAC, "Role", &[], Namespaced, UNENFORCED),
    (RBAC, "RoleBinding", &[], Namespaced, UNENFORCED),
    (ACCESS, "SelfSubjectAccessReview", &[], Cluster, REVIEW),
    (ACCESS, "SelfSubjectRulesReview", &[], Cluster, REVIEW),
    (ACCESS, "SubjectAccessReview", &[], Cluster, REVIEW),
    (IDENTITY, "SelfSubjectReview", &[], Cluster, REVIEW),
];

/// The core kinds, in the order of discovery.
pub(crate) fn resources() -> impl Iterator<Item = Resource> {
    TABLE.into_iter().map(resource)
}

/// The kind behind a ServiceAccount's `token`.
pub(crate) fn token_request() -> Resource {
    resource((IDENTITY, "TokenRequest", &[], Namespaced, REVIEW))
}

fn resource((group, kind, short_names, scope, rules): Row) -> Resource {
    Resource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
        singular: kind.to_lowercase(),
        namespaced: scope == Namespaced,
        short_names,
        columns: columns(kind),
        rules,
    }
}

fn columns(kind: &str) -> Vec<Column> {
    let mut columns = match kind {
        "Namespace" => vec![text("Status", ".status.phase")],
        "Secret" => vec![text("Type", ".type"), count("Data", ".data")],
        "ConfigMap" => vec![count("Data", ".data")],
        "ServiceAccount" => vec![count("Secrets", ".secrets")],
        "Service" => vec![
            text("Type", ".spec.type"),
            text("Cluster-IP", ".spec.clusterIP"),
        ],
        "Lease" => vec![text("Holder", ".spec.holderIdentity")],
        "Event" => return event_columns(),
        _ => Vec::new(),
    };
    columns.push(AGE);
    columns
}

fn event_columns() -> Vec<Column> {
    let last_seen = Column {
        name: "Last Seen",
        ..AGE
    };
    let object = Column {
        name: "Object",
        type_: "string",
        format: "",
        cell: Cell::Reference(".involvedObject"),
    };
    vec![
        last_seen,
        text("Type", ".type"),
        text("Reason", ".reason"),
        object,
        text("Message", ".message"),
    ]
}

const fn text(name: &'static str, path: &'static str) -> Column {
    Column {
        name,
        type_: "string",
        format: "",
        cell: Cell::Path(path),
    }
}

const fn count(name: &'static str, path: &'static str) -> Column {
    Column {
        name,
        type_: "integer",
        format: "",
        cell: Cell::Count(path),
    }
}
