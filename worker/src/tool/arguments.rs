//! The arguments of a tool call: what the model wrote, and what the Agent has set beforehand.

use ark_plan::ToolPlan;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::prompt;
use crate::scene::Scene;

/// Reads the arguments as the model wrote them; nothing at all is an empty object.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match ark_api::json::from_slice(text.as_bytes()) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("the arguments must be a JSON object".to_owned()),
        Err(error) => Err(format!("the arguments are not JSON: {error}")),
    }
}

/// Adds the Agent's presets, which the model does not see and therefore cannot change.
pub(super) async fn with_presets(
    scene: &Scene<'_>,
    tool: &ToolPlan,
    mut arguments: Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    if tool.preset.is_empty() {
        return Ok(arguments);
    }
    let query = prompt::values(scene, &scene.input.parameters).await?;
    let data = Map::from_iter([("Query".to_owned(), Value::Object(query))]);
    for preset in &tool.preset {
        let template = scene.secrets.value(&preset.value, scene.input).await?;
        let what = format!("the preset {:?} of Tool {}", preset.name, tool.name);
        let text = prompt::fill(&what, template.expose(), data.clone(), &mut Vec::new())?;
        arguments.insert(preset.name.clone(), text.into());
    }
    Ok(arguments)
}

/// Fills `{argument}` placeholders of an address, escaped as in a query string; unknown ones stay.
pub(super) fn fill_placeholders(address: &str, arguments: &Map<String, Value>) -> String {
    let mut filled = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        let value = after
            .find('}')
            .and_then(|close| Some((close, arguments.get(&after[..close])?)));
        match value {
            Some((close, value)) => {
                let text = plain(value);
                filled.extend(url::form_urlencoded::byte_serialize(text.as_bytes()));
                rest = &after[close + 1..];
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

/// An argument as text: strings bare, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert_eq!(parse(""), Ok(Map::new()));
        assert_eq!(parse(" null "), Ok(Map::new()));
        assert_eq!(parse(r#"{"a":1}"#).unwrap()["a"], 1);
        assert!(parse("[1]").is_err());
        assert!(parse("{").is_err());
    }

    #[test]
    fn placeholders_are_filled_and_escaped() {
        let arguments = json!({"city": "São Paulo&x", "n": 1234567, "o": {"a": 1}});
        let arguments = arguments.as_object().unwrap();
        assert_eq!(
            fill_placeholders("https://x/{city}?n={n}&u={unknown}&o={o}{", arguments),
            "https://x/S%C3%A3o+Paulo%26x?n=1234567&u={unknown}&o=%7B%22a%22%3A1%7D{"
        );
    }
}
