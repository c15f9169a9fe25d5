//! A Model's properties: text that becomes members of the request.

use serde_json::{Map, Value};

/// Properties that this layer decides itself.
const OURS: [&str; 8] = [
    "messages",
    "model",
    "stream",
    "stream_options",
    "system",
    "tools",
    "n",
    "response_format",
];

/// Properties whose value is text even where it looks like a number.
const TEXT: [&str; 6] = [
    "user",
    "reasoning_effort",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "verbosity",
];

/// Adds a Model's property: its text becomes the JSON value that it spells, except where the protocol wants text.
/// Empty ones and those that this layer decides itself are left out.
pub(super) fn set_property(properties: &mut Map<String, Value>, name: &str, text: &str) {
    if text.is_empty() || OURS.contains(&name) {
        return;
    }
    let value = match serde_json::from_str(text) {
        Ok(value) if !TEXT.contains(&name) => value,
        _ => Value::from(text),
    };
    properties.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_are_coerced() {
        let mut properties = Map::new();
        for (name, text) in [
            ("temperature", "0.2"),
            ("max_tokens", "10"),
            ("user", "7"),
            ("stop", "[\"a\"]"),
            ("model", "x"),
            ("seed", ""),
        ] {
            set_property(&mut properties, name, text);
        }
        assert_eq!(
            Value::Object(properties),
            json!({"temperature": 0.2, "max_tokens": 10, "user": "7", "stop": ["a"]})
        );
    }
}
