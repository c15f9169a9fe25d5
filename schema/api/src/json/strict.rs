//! Parsing that reports duplicate keys.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::replace_lone_surrogates;
use crate::structural::{item, member};

/// Parses like [`super::from_slice`] and also returns the paths of keys that occur
/// twice in one object, such as `spec.input`; each path once, in order of appearance.
pub fn from_slice_strict(bytes: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let bytes = replace_lone_surrogates(bytes);
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let seed = Tracked {
        path: String::new(),
        duplicates: &duplicates,
    };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates.into_inner()))
}

/// Builds the value at `path` and notes duplicate keys below it.
struct Tracked<'a> {
    path: String,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Tracked<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tracked<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let seed = Tracked {
                path: item(&self.path, items.len()),
                duplicates: self.duplicates,
            };
            match access.next_element_seed(seed)? {
                Some(value) => items.push(value),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let path = member(&self.path, &key);
            if members.contains_key(&key) {
                let mut duplicates = self.duplicates.borrow_mut();
                if !duplicates.contains(&path) {
                    duplicates.push(path.clone());
                }
            }
            let seed = Tracked {
                path,
                duplicates: self.duplicates,
            };
            let value = access.next_value_seed(seed)?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn duplicates_are_named_and_the_last_one_counts() {
        let text = br#"{"spec":{"input":"i","input":"j","input":"k","tools":[{"a":1},{"a":1,"a":2}]},"x":1,"x":2}"#;
        let (value, duplicates) = from_slice_strict(text).unwrap();
        assert_eq!(duplicates, ["spec.input", "spec.tools[1].a", "x"]);
        assert_eq!(value["spec"]["input"], "k");
        assert_eq!(value, super::super::from_slice(text).unwrap());
    }

    #[test]
    fn values_arrive_unchanged() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"\ud800","ä"],"b":{}}"#;
        let (value, duplicates) = from_slice_strict(text.as_bytes()).unwrap();
        assert!(duplicates.is_empty());
        let expected = json!({ "a": [null, true, -1, u64::MAX, 1.5, "\u{fffd}", "ä"], "b": {} });
        assert_eq!(value, expected);
        assert!(from_slice_strict(b"{} {}").is_err());
        assert!(from_slice_strict(b"{\"a\":").is_err());
    }
}
