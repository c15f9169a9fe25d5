//! The query parameters of the Kubernetes API and the rules between them.

use std::time::Duration;

use serde_json::Value;

use crate::front::page_token::Continue;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::{FieldError, Result, Status};

/// The decoded query string.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a parameter; an empty value counts as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    /// Everything but `false` and `0` is true, as in Kubernetes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.is_some_and(|(_, value)| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    fn integer(&self, name: &str) -> Result<Option<i64>> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                ))
            })
        };
        self.get(name).map(parse).transpose()
    }
}

/// How fields that the schema does not know are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The parameters of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) field_validation: FieldValidation,
}

impl WriteOptions {
    /// `kind` names the options in error messages: `CreateOptions`, `UpdateOptions`, `PatchOptions`.
    pub(crate) fn parse(query: &Query, kind: &str) -> Result<Self> {
        let field_validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                let cause = FieldError::not_supported("fieldValidation", &other.into(), &supported);
                return Err(Status::invalid_options(kind, cause));
            }
        };
        if let Some(cause) = broken_manager(query) {
            return Err(Status::invalid_options(kind, cause));
        }
        let dry_run: Vec<&str> = query.get("dryRun").into_iter().collect();
        Ok(Self {
            dry_run: is_dry_run(&dry_run, kind)?,
            field_validation,
        })
    }
}

/// The rules of fields that only server-side apply would use.
fn broken_manager(query: &Query) -> Option<FieldError> {
    const MAX: usize = 128;
    if query.has("force") {
        let why = "may not be specified for non-apply patch";
        return Some(FieldError::forbidden("force", why));
    }
    let manager = query.get("fieldManager").unwrap_or_default();
    (manager.len() > MAX).then(|| FieldError {
        reason: "FieldValueTooLong",
        field: "fieldManager".to_owned(),
        message: format!("Too long: may not be more than {MAX} bytes"),
    })
}

pub(super) fn is_dry_run(values: &[&str], kind: &str) -> Result<bool> {
    if values.iter().any(|v| *v != "All") {
        let cause = FieldError::not_supported("dryRun", &Value::from(values), &["All"]);
        return Err(Status::invalid_options(kind, cause));
    }
    Ok(!values.is_empty())
}

/// The parameters of a list or a watch.
#[derive(Debug)]
pub(crate) struct ListOptions {
    /// None: not given.
    pub(crate) version: Option<i64>,
    /// The list must be that of exactly `version`.
    pub(crate) exact: bool,
    pub(crate) limit: Option<i64>,
    pub(crate) continue_from: Option<Continue>,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// How long a watch lasts at most.
    pub(crate) timeout: Option<Duration>,
    pub(crate) bookmarks: bool,
}

impl ListOptions {
    pub(crate) fn parse(query: &Query, watch: bool) -> Result<Self> {
        if let Some(cause) = broken_rule(query, watch) {
            return Err(Status::invalid_options("ListOptions", cause));
        }
        let version = resource_version(query)?;
        let limit = query.integer("limit")?.filter(|limit| *limit > 0);
        let continue_from = query.get("continue").map(Continue::decode).transpose()?;
        if continue_from.is_some() && version.is_some_and(|v| v > 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let matching = query.get("resourceVersionMatch");
        let legacy_exact = matching.is_none() && limit.is_some() && version.is_some_and(|v| v > 0);
        Ok(Self {
            version,
            exact: matching == Some("Exact") || legacy_exact,
            limit,
            continue_from,
            labels: LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())?,
            timeout: query
                .integer("timeoutSeconds")?
                .and_then(|s| u64::try_from(s).ok())
                .filter(|s| *s > 0)
                .map(Duration::from_secs),
            bookmarks: query.flag("allowWatchBookmarks"),
        })
    }

    pub(crate) fn has_selector(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }
}

/// The `resourceVersion` parameter; `0` is a value of its own.
pub(crate) fn resource_version(query: &Query) -> Result<Option<i64>> {
    let parse = |text: &str| {
        text.parse::<u64>()
            .ok()
            .and_then(|v| i64::try_from(v).ok())
            .ok_or_else(|| {
                Status::bad_request(format!(
                    "invalid resource version: resourceVersion: Invalid value: {text:?}: \
                     strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            })
    };
    query.get("resourceVersion").map(parse).transpose()
}

/// The rules between the parameters of lists and watches.
fn broken_rule(query: &Query, watch: bool) -> Option<FieldError> {
    const MATCH: &str = "resourceVersionMatch";
    const INITIAL: &str = "sendInitialEvents";
    let matching = query.get(MATCH);
    let forbidden = |field: &str, why: &str| Some(FieldError::forbidden(field, why));
    if watch && query.has(INITIAL) {
        if matching != Some("NotOlderThan") {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return forbidden(MATCH, why);
        }
        // Clients fall back to a list and a watch when they read this.
        let why =
            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return forbidden(INITIAL, why);
    }
    if let Some(matching) = matching {
        if watch {
            let why =
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return forbidden(MATCH, why);
        }
        let Some(version) = query.get("resourceVersion") else {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return forbidden(MATCH, why);
        };
        if query.get("continue").is_some() {
            return forbidden(
                MATCH,
                "resourceVersionMatch is forbidden when continue is provided",
            );
        }
        if !["Exact", "NotOlderThan"].contains(&matching) {
            let supported = ["Exact", "NotOlderThan", ""];
            return Some(FieldError::not_supported(
                MATCH,
                &matching.into(),
                &supported,
            ));
        }
        if matching == "Exact" && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return forbidden(MATCH, why);
        }
    }
    if query.has(INITIAL) {
        return forbidden(INITIAL, "sendInitialEvents is forbidden for list");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_at_a_version_is_exact() {
        let parse = |text| ListOptions::parse(&Query::parse(Some(text)), false).unwrap();
        assert!(parse("limit=5&resourceVersion=7").exact);
        assert!(!parse("limit=5&resourceVersion=0").exact);
        assert!(!parse("resourceVersion=7").exact);
    }
}
