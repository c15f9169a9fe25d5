//! The query parameters of each action, as the OpenAPI documents name them.

use serde_json::{Value, json};

/// Name, type and description.
type Parameter = (&'static str, &'static str, &'static str);

const LIST: &[Parameter] = &[
    (
        "allowWatchBookmarks",
        "boolean",
        "Whether a watch may send bookmarks.",
    ),
    (
        "continue",
        "string",
        "Where the next page of a list begins, as the page before it said.",
    ),
    (
        "fieldSelector",
        "string",
        "Selects objects by their name or namespace.",
    ),
    (
        "labelSelector",
        "string",
        "Selects objects by their labels.",
    ),
    ("limit", "integer", "How many objects a page has at most."),
    (
        "resourceVersion",
        "string",
        "The version that a list must have reached or a watch begins after.",
    ),
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion is applied to a list: Exact or NotOlderThan.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "Not supported by this server: clients list and watch instead.",
    ),
    (
        "timeoutSeconds",
        "integer",
        "How long a watch lasts at most.",
    ),
    (
        "watch",
        "boolean",
        "Whether changes are sent instead of a list.",
    ),
];
const WRITE: &[Parameter] = &[
    (
        "dryRun",
        "string",
        "All: everything is checked and nothing is stored.",
    ),
    ("fieldManager", "string", "A name for who makes the change."),
    (
        "fieldValidation",
        "string",
        "What happens to unknown and duplicate fields: Ignore, Warn or Strict.",
    ),
];
const DELETE: &[Parameter] = &[
    (
        "dryRun",
        "string",
        "All: everything is checked and nothing is deleted.",
    ),
    (
        "gracePeriodSeconds",
        "integer",
        "Accepted and without effect: nothing here ends slowly.",
    ),
    (
        "propagationPolicy",
        "string",
        "What happens to dependents: Orphan, Background or Foreground.",
    ),
];
const GET: &[Parameter] = &[(
    "resourceVersion",
    "string",
    "The version that the object must have reached.",
)];

/// The parameters that an action takes.
pub(super) fn parameters(action: &str) -> Value {
    let chosen = match action {
        "list" => LIST,
        "get" => GET,
        "delete" => DELETE,
        _ => WRITE,
    };
    chosen
        .iter()
        .map(|(name, type_, description)| {
            json!({"name": name, "in": "query", "description": description, "schema": {"type": type_}})
        })
        .collect()
}
