//! Syntax of names, label keys and label values, with Kubernetes' messages.

use std::sync::LazyLock;

use regex::Regex;

/// Longest object name, in bytes.
const SUBDOMAIN_MAX: usize = 253;
/// Longest label value and name part of a key, in bytes.
const LABEL_MAX: usize = 63;

const QUALIFIED_NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
     '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}

/// What is wrong with a DNS-1123 subdomain, the syntax of most object names.
pub fn subdomain_errors(name: &str) -> Vec<String> {
    static SYNTAX: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    });
    let mut errors = too_long(name, SUBDOMAIN_MAX, "characters");
    if !SYNTAX.is_match(name) {
        errors.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    errors
}

/// What is wrong with a DNS-1123 label, the syntax of namespace names.
pub fn dns_label_errors(name: &str) -> Vec<String> {
    static SYNTAX: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"));
    let mut errors = too_long(name, LABEL_MAX, "characters");
    if !SYNTAX.is_match(name) {
        errors.push(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

/// What is wrong with a key of labels, annotations or finalizers.
pub fn qualified_name_errors(key: &str) -> Vec<String> {
    static SYNTAX: LazyLock<Regex> =
        LazyLock::new(|| pattern("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"));
    let mut errors = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a valid label key {QUALIFIED_NAME_RULE} with an optional DNS subdomain prefix \
                 and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            errors.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            let wrong = subdomain_errors(prefix);
            errors.extend(wrong.into_iter().map(|e| format!("prefix part {e}")));
            name
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    }
    let wrong = too_long(name, LABEL_MAX, "bytes");
    errors.extend(wrong.into_iter().map(|e| format!("name part {e}")));
    if !SYNTAX.is_match(name) {
        errors.push(format!("name part {QUALIFIED_NAME_RULE}"));
    }
    errors
}

/// What is wrong with a label's value.
pub fn label_value_errors(value: &str) -> Vec<String> {
    static SYNTAX: LazyLock<Regex> =
        LazyLock::new(|| pattern("^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"));
    let mut errors = too_long(value, LABEL_MAX, "bytes");
    if !SYNTAX.is_match(value) {
        errors.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', \
             '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  \
             or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

// Kubernetes counts bytes either way; only its words differ.
fn too_long(text: &str, max: usize, unit: &str) -> Vec<String> {
    match text.len() > max {
        true => vec![format!("must be no more than {max} {unit}")],
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for key in ["app", "a.b_c-d", "example.com/App", "ark.mckinsey.com/x"] {
            assert!(qualified_name_errors(key).is_empty(), "{key}");
        }
        assert_eq!(
            qualified_name_errors("/x"),
            ["prefix part must be non-empty"]
        );
        assert_eq!(qualified_name_errors("a/").len(), 2);
        assert_eq!(qualified_name_errors("a/b/c").len(), 1);
        assert_eq!(qualified_name_errors("A.b/c").len(), 1);
        assert_eq!(qualified_name_errors(&"a".repeat(64)).len(), 1);
    }

    #[test]
    fn names_and_values() {
        assert!(subdomain_errors("a-1.b").is_empty());
        for name in ["", "A", "a_b", "-a", "a.", "a\n"] {
            assert_eq!(subdomain_errors(name).len(), 1, "{name:?}");
        }
        assert!(label_value_errors("").is_empty());
        assert_eq!(label_value_errors("-").len(), 1);
        assert_eq!(dns_label_errors("a.b").len(), 1);
    }
}
