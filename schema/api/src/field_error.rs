//! Errors about one field, in the words of Kubernetes' `field.Error`.

use std::fmt;

use serde_json::Value;

/// What is wrong with one field; becomes one cause of a 422 Status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Kubernetes' cause type, such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// Path of the field, such as `spec.tools[0].name`.
    pub field: String,
    /// What is wrong, such as `Required value`.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl FieldError {
    fn new(reason: &'static str, field: impl Into<String>, what: &str, detail: &str) -> Self {
        let message = match detail {
            "" => what.to_owned(),
            detail => format!("{what}: {detail}"),
        };
        Self {
            reason,
            field: field.into(),
            message,
        }
    }

    /// A value is missing.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueRequired", field, "Required value", detail)
    }

    /// The value is malformed or breaks a rule.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let what = format!("Invalid value: {}", shown(value));
        Self::new("FieldValueInvalid", field, &what, detail)
    }

    /// The value has the wrong JSON type.
    pub fn type_invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let what = format!("Invalid value: {}", shown(value));
        Self::new("FieldValueTypeInvalid", field, &what, detail)
    }

    /// The value is none of the allowed ones.
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let what = format!("Unsupported value: {}", shown(value));
        let quoted: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let detail = match quoted.is_empty() {
            true => String::new(),
            false => format!("supported values: {}", quoted.join(", ")),
        };
        Self::new("FieldValueNotSupported", field, &what, &detail)
    }

    /// The text is longer than `max` bytes.
    pub fn too_long(field: impl Into<String>, max: u64) -> Self {
        let detail = format!("may not be more than {max} bytes");
        Self::new("FieldValueTooLong", field, "Too long", &detail)
    }

    /// There are more than `max` items.
    pub fn too_many(field: impl Into<String>, actual: usize, max: u64) -> Self {
        let what = format!("Too many: {actual}");
        let detail = format!("must have at most {max} items");
        Self::new("FieldValueTooMany", field, &what, &detail)
    }

    /// The field may not be set, or not like this.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, "Forbidden", detail)
    }

    /// What the field refers to does not exist.
    pub fn not_found(field: impl Into<String>, detail: &str) -> Self {
        Self::new("FieldValueNotFound", field, "Not found", detail)
    }
}

/// A value as Kubernetes prints it within a message: strings as Go quotes them, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Go's `%q`.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' | '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            // Rust escapes what is not printable, which is what Go escapes.
            _ if c.escape_debug().count() > 1 && c != '\'' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_like_kubernetes() {
        let error = FieldError::not_supported("spec.type", &json!("x"), &["a", "b"]);
        assert_eq!(
            error.to_string(),
            "spec.type: Unsupported value: \"x\": supported values: \"a\", \"b\""
        );
        assert_eq!(
            FieldError::required("spec.input", "").to_string(),
            "spec.input: Required value"
        );
        assert_eq!(
            FieldError::invalid("metadata.name", &json!("it's"), "no").message,
            "Invalid value: \"it's\": no"
        );
        assert_eq!(
            FieldError::invalid("f", &json!("a\"\\\0\n\u{200b}ä"), "").message,
            "Invalid value: \"a\\\"\\\\\\x00\\n\\u200bä\""
        );
        assert_eq!(
            FieldError::invalid("metadata.generation", &json!(-1), "no").message,
            "Invalid value: -1: no"
        );
    }
}
