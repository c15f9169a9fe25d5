//! Kubernetes' custom-resource machinery over structural schemas, on JSON values:
//! pruning of unknown fields, schema defaults, schema validation.
//!
//! For a write the order is [`prune()`], [`apply_defaults`], admission, [`validate()`].

mod defaults;
mod prune;
mod validate;

pub use crate::field_error::FieldError;
pub use defaults::apply_defaults;
pub use prune::prune;
pub use validate::validate;

/// Path of a member of the object at `path`.
pub(crate) fn member(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Path of an item of the array at `path`.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
