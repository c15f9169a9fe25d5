//! How Go's `fmt` prints decoded JSON with `%v`.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

/// Prints as Go prints a value that its JSON decoder made: all numbers are float64.
pub(super) struct GoValue<'a>(pub(super) &'a Value);

impl Display for GoValue<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("<nil>"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(number) => f.write_str(&float(number.as_f64().unwrap_or(f64::NAN))),
            Value::String(text) => f.write_str(text),
            Value::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    let space = if i == 0 { "" } else { " " };
                    write!(f, "{space}{}", GoValue(item))?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("map[")?;
                for (i, (key, value)) in members.iter().enumerate() {
                    let space = if i == 0 { "" } else { " " };
                    write!(f, "{space}{key}:{}", GoValue(value))?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A float64 as Go's `%v` has it: shortest digits, with an exponent below 1e-4 and from 1e6.
pub(super) fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific; // NaN and infinities, which JSON and Go literals cannot hold
    };
    let exponent: i32 = exponent.parse().expect("Rust prints a decimal exponent");
    if value != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    } else {
        format!("{value}")
    }
}
