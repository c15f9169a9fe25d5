//! Go's comparisons: only values of one basic kind compare, an integer never with a float64.

use std::cmp::Ordering;

use super::value::Value;

/// Whether the value equals any of the others.
pub(super) fn equal(value: &Value<'_>, others: &[Value<'_>]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equals(value, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(a: &Value<'_>, b: &Value<'_>) -> Result<bool, String> {
    match (a, b) {
        (Value::Missing | Value::Null, other) | (other, Value::Missing | Value::Null) => {
            Ok(other.is_nothing())
        }
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::List(_) | Value::Object(_), Value::List(_) | Value::Object(_)) => Err(format!(
            "non-comparable types {} and {}",
            a.type_name(),
            b.type_name()
        )),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        _ => match basic_order(a, b) {
            Some(order) => Ok(order == Ordering::Equal),
            None => Err(incompatible(a, b)),
        },
    }
}

/// How two values are ordered; booleans, lists, objects and null are not.
pub(super) fn order(a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, String> {
    let is_basic = |value: &Value<'_>| {
        !matches!(
            value,
            Value::Missing | Value::Null | Value::List(_) | Value::Object(_)
        )
    };
    if !is_basic(a) || !is_basic(b) || matches!((a, b), (Value::Bool(_), Value::Bool(_))) {
        return Err("invalid type for comparison".to_owned());
    }
    basic_order(a, b).ok_or_else(|| incompatible(a, b))
}

fn basic_order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Byte(a), Value::Byte(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Value::Byte(b)) => Some(a.cmp(&i64::from(*b))),
        (Value::Byte(a), Value::Integer(b)) => Some(i64::from(*a).cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn incompatible(a: &Value<'_>, b: &Value<'_>) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}
