//! What a URL asks for.

use crate::catalog::{self, GroupVersion, Resource};

/// A parsed path.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/healthz`, `/livez`, `/readyz` and their single checks.
    Health(Probe),
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`
    Resources(GroupVersion),
    OpenApiRoot,
    OpenApi(GroupVersion),
    Objects(Target),
    /// Nothing is served there.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    Live,
    Ready,
}

/// A collection, an object or a subresource.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    /// Empty for cluster-scoped kinds and for all namespaces.
    pub(crate) namespace: String,
    /// Empty for a collection.
    pub(crate) name: String,
    /// Empty, or `status`, or something that no kind has.
    pub(crate) subresource: String,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Self {
        let decoded: Option<Vec<String>> = path
            .trim_matches('/')
            .split('/')
            .map(decode_segment)
            .collect();
        let Some(decoded) = decoded else {
            return Self::Nothing;
        };
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["healthz" | "livez", ..] => Self::Health(Probe::Live),
            ["readyz", ..] => Self::Health(Probe::Ready),
            ["version"] => Self::Version,
            ["api"] => Self::CoreVersions,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::group(group),
            ["openapi", "v3"] => Self::OpenApiRoot,
            ["openapi", "v3", "api", version] => Self::group_version("", version, Self::OpenApi),
            ["openapi", "v3", "apis", group, version] => {
                Self::group_version(group, version, Self::OpenApi)
            }
            ["api", version] => Self::group_version("", version, Self::Resources),
            ["apis", group, version] => Self::group_version(group, version, Self::Resources),
            ["api", version, rest @ ..] => Self::objects("", version, rest),
            ["apis", group, version, rest @ ..] => Self::objects(group, version, rest),
            _ => Self::Nothing,
        }
    }

    fn group(group: &str) -> Self {
        let served = catalog::resources().iter().any(|r| r.group == group);
        if served && !group.is_empty() {
            Self::Group(group.to_owned())
        } else {
            Self::Nothing
        }
    }

    fn group_version(group: &str, version: &str, make: fn(GroupVersion) -> Self) -> Self {
        let wanted = GroupVersion {
            group: group.to_owned(),
            version: version.to_owned(),
        };
        if catalog::group_versions().contains(&wanted) {
            make(wanted)
        } else {
            Self::Nothing
        }
    }

    fn objects(group: &str, version: &str, rest: &[&str]) -> Self {
        let (namespace, rest) = match rest {
            // `namespaces/x` is the Namespace itself, `namespaces/x/status` its subresource.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, more @ ..] => (*namespace, more),
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, "", ""),
            [plural, name] => (plural, *name, ""),
            [plural, name, subresource] => (plural, *name, *subresource),
            _ => return Self::Nothing,
        };
        let Some(resource) = catalog::find(group, version, plural) else {
            return Self::Nothing;
        };
        // Only a namespaced resource has a namespace in its URL, and an object of one needs it.
        let scoped = !namespace.is_empty();
        if scoped != resource.namespaced && (scoped || !name.is_empty()) {
            return Self::Nothing;
        }
        Self::Objects(Target {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }
}

fn decode_segment(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        match Route::parse(path) {
            Route::Objects(target) => target,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn collections_objects_and_subresources() {
        let all = target("/apis/ark.mckinsey.com/v1alpha1/queries");
        assert_eq!((all.namespace.as_str(), all.name.as_str()), ("", ""));
        let one = target("/apis/ark.mckinsey.com/v1alpha1/namespaces/a/queries/q%31/status");
        assert_eq!(one.resource.kind, "Query");
        assert_eq!(one.namespace, "a");
        assert_eq!(
            (one.name.as_str(), one.subresource.as_str()),
            ("q1", "status")
        );
        let namespace = target("/api/v1/namespaces/a");
        assert_eq!(namespace.resource.kind, "Namespace");
        assert_eq!(namespace.name, "a");
        assert_eq!(
            target("/api/v1/namespaces/a/secrets").resource.kind,
            "Secret"
        );
    }

    #[test]
    fn what_is_not_served() {
        for path in [
            "/apis/ark.mckinsey.com/v1alpha1/nope",
            "/apis/ark.mckinsey.com/v9/queries",
            "/apis/ark.mckinsey.com/v1alpha1/queries/q1",
            "/apis/ark.mckinsey.com/v1alpha1/namespaces/a/arkconfigs",
            "/apis/nope",
            "/api/v1/pods",
            "/openapi/v2",
        ] {
            assert!(matches!(Route::parse(path), Route::Nothing), "{path}");
        }
    }
}
