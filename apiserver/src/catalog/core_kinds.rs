//! The core kinds of a standalone server: what Ark's manifests and controllers refer to where no cluster is.

use crate::catalog::{Cell, Column, Resource, Rules};

pub(crate) const AGE: Column = Column {
    name: "Age",
    type_: "date",
    format: "",
    cell: Cell::Path(".metadata.creationTimestamp"),
};

pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";
const RBAC_WARNING: &str =
    "this server stores RBAC objects but does not enforce them: its token may do everything";

/// The core kinds, in the order of discovery.
pub(crate) fn resources() -> Vec<Resource> {
    let plain = Rules::Stored { warning: None };
    let rbac = Rules::Stored {
        warning: Some(RBAC_WARNING),
    };
    let mut all = vec![
        namespaced("", "v1", "ConfigMap", "configmaps", &["cm"], plain),
        namespaced("", "v1", "Event", "events", &["ev"], Rules::Event),
        cluster(
            "",
            "v1",
            "Namespace",
            "namespaces",
            &["ns"],
            Rules::Namespace,
        ),
        namespaced("", "v1", "Secret", "secrets", &[], Rules::Secret),
        namespaced(
            "",
            "v1",
            "ServiceAccount",
            "serviceaccounts",
            &["sa"],
            plain,
        ),
        namespaced("", "v1", "Service", "services", &["svc"], plain),
        namespaced("coordination.k8s.io", "v1", "Lease", "leases", &[], plain),
        namespaced(
            "events.k8s.io",
            "v1",
            "Event",
            "events",
            &["ev"],
            Rules::Event,
        ),
        cluster(RBAC, "v1", "ClusterRole", "clusterroles", &[], rbac),
        cluster(
            RBAC,
            "v1",
            "ClusterRoleBinding",
            "clusterrolebindings",
            &[],
            rbac,
        ),
        namespaced(RBAC, "v1", "Role", "roles", &[], rbac),
        namespaced(RBAC, "v1", "RoleBinding", "rolebindings", &[], rbac),
    ];
    let authorization = "authorization.k8s.io";
    for (kind, plural) in [
        ("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        ("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        ("SubjectAccessReview", "subjectaccessreviews"),
    ] {
        all.push(cluster(
            authorization,
            "v1",
            kind,
            plural,
            &[],
            Rules::Review,
        ));
    }
    let authentication = "authentication.k8s.io";
    let kind = "SelfSubjectReview";
    all.push(cluster(
        authentication,
        "v1",
        kind,
        "selfsubjectreviews",
        &[],
        Rules::Review,
    ));
    all
}

fn namespaced(
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
    short_names: &'static [&'static str],
    rules: Rules,
) -> Resource {
    Resource {
        namespaced: true,
        ..cluster(group, version, kind, plural, short_names, rules)
    }
}

fn cluster(
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
    short_names: &'static [&'static str],
    rules: Rules,
) -> Resource {
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        namespaced: false,
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
