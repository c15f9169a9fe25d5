//! Values that satisfy a JSON schema: the arguments of tool calls and structured answers.

use serde_json::{Map, Value, json};

use super::script::digest;

/// Schemas that refer to themselves end here.
const MAX_DEPTH: usize = 8;

/// Builds the smallest value that `schema` asks for; equal `key`s give equal values.
pub(super) fn build(schema: &Value, key: &str) -> Value {
    value(schema, schema, key, 0)
}

fn value(root: &Value, schema: &Value, key: &str, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let schema = resolve(root, schema);
    if let Some(fixed) = schema.get("const") {
        return fixed.clone();
    }
    let number = number_from(key);
    if let Some(choices) = schema["enum"].as_array().filter(|list| !list.is_empty()) {
        return choices[pick(number, choices.len())].clone();
    }
    for combination in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[combination].get(0) {
            return value(root, first, key, depth + 1);
        }
    }
    match kind(schema) {
        "object" => object(root, schema, key, depth),
        "array" => array(root, schema, key, depth),
        "integer" => integer(schema, number),
        "number" => real(schema, number),
        "boolean" => json!(number.is_multiple_of(2)),
        "null" => Value::Null,
        _ => string(schema, number),
    }
}

/// Follows a local `$ref`; any other reference stands for an empty schema.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    const ANYTHING: &Value = &Value::Null;
    match schema["$ref"].as_str() {
        Some(reference) => reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
            .unwrap_or(ANYTHING),
        None => schema,
    }
}

fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if schema["properties"].is_object() => "object",
        _ if schema["items"].is_object() => "array",
        _ => "string",
    }
}

fn object(root: &Value, schema: &Value, key: &str, depth: usize) -> Value {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let members: Map<String, Value> = required
        .iter()
        .filter_map(Value::as_str)
        .map(|name| {
            let member = &schema["properties"][name];
            let built = value(root, member, &format!("{key}/{name}"), depth + 1);
            (name.to_owned(), built)
        })
        .collect();
    Value::Object(members)
}

fn array(root: &Value, schema: &Value, key: &str, depth: usize) -> Value {
    let length = schema["minItems"].as_u64().unwrap_or(1).min(16);
    (0..length)
        .map(|index| value(root, &schema["items"], &format!("{key}/{index}"), depth + 1))
        .collect()
}

fn integer(schema: &Value, number: u64) -> Value {
    let low = schema["minimum"].as_i64();
    let high = schema["maximum"].as_i64();
    let low = low.unwrap_or_else(|| high.map_or(0, |high| high.min(0)));
    let high = high.unwrap_or_else(|| low.saturating_add(99)).max(low);
    let span = high.abs_diff(low).saturating_add(1);
    json!(low.saturating_add_unsigned(number % span))
}

fn real(schema: &Value, number: u64) -> Value {
    let low = schema["minimum"].as_f64();
    let high = schema["maximum"].as_f64();
    let low = low.unwrap_or_else(|| high.map_or(0.0, |high| high.min(0.0)));
    let high = high.unwrap_or(low + 100.0).max(low);
    let quarters = f64::from(u32::try_from(number % 4).unwrap_or(0));
    json!(low + (high - low) * quarters / 4.0)
}

fn string(schema: &Value, number: u64) -> Value {
    let text = match schema["format"].as_str() {
        Some("date-time") => format!("2025-01-01T{:02}:00:00Z", number % 24),
        Some("date") => format!("2025-01-{:02}", number % 28 + 1),
        Some("email") => format!("mock-{:04x}@example.com", number & 0xffff),
        Some("uri" | "url") => format!("https://example.com/{:04x}", number & 0xffff),
        Some("uuid") => format!("00000000-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff),
        _ => format!("mock-{:04x}", number & 0xffff),
    };
    let least = schema["minLength"].as_u64().unwrap_or(0).min(4096);
    let most = schema["maxLength"].as_u64().unwrap_or(4096).min(4096);
    let missing = least.saturating_sub(text.chars().count() as u64);
    let padding = std::iter::repeat_n('x', missing as usize);
    json!(
        text.chars()
            .chain(padding)
            .take(most as usize)
            .collect::<String>()
    )
}

fn number_from(key: &str) -> u64 {
    digest(&[key])
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn pick(number: u64, length: usize) -> usize {
    (number % length as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_members_are_built_by_type_and_optional_ones_left_out() {
        let schema = json!({
            "type": "object",
            "required": ["city", "unit", "days", "tags", "place", "exact", "limit"],
            "properties": {
                "city": {"type": "string", "minLength": 20},
                "unit": {"enum": ["celsius", "kelvin"]},
                "days": {"type": "integer", "minimum": 3, "maximum": 3},
                "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
                "place": {"$ref": "#/$defs/place"},
                "exact": {"const": "yes"},
                "limit": {"type": ["null", "number"], "maximum": -5},
                "note": {"type": "string"},
            },
            "$defs": {"place": {
                "type": "object",
                "required": ["inside"],
                "properties": {"inside": {"$ref": "#/$defs/place"}},
            }},
        });
        let built = build(&schema, "key");
        assert_eq!(built["city"].as_str().map(str::len), Some(20));
        assert!(["celsius", "kelvin"].contains(&built["unit"].as_str().unwrap()));
        assert_eq!(built["days"], 3);
        assert_eq!(built["tags"].as_array().map(Vec::len), Some(2));
        assert!(built["place"]["inside"]["inside"].is_object());
        assert_eq!(built["exact"], "yes");
        assert!(built["limit"].as_f64().unwrap() <= -5.0);
        assert!(built.get("note").is_none());
        assert_eq!(built, build(&schema, "key"));
    }

    #[test]
    fn a_tool_without_schema_gets_an_empty_object_only_if_it_says_object() {
        assert_eq!(build(&json!({"type": "object"}), "key"), json!({}));
    }
}
