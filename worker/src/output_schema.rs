//! Structured output: whether a model's answer is what the Agent's `outputSchema` asks for.

use ark_plan::{AgentPlan, Class};
use jsonschema::Validator;
use serde_json::Value;

use crate::failure::Failure;

/// Longest description of what is wrong that models and users are told.
const MAX_CHARS: usize = 500;

/// The schema of an Agent's answers, ready to check them.
pub(crate) struct OutputSchema {
    validator: Validator,
}

impl OutputSchema {
    /// Reads the Agent's schema, if it has one, before anything is paid for. References to other documents are not
    /// followed.
    pub(crate) fn of(agent: &AgentPlan) -> Result<Option<Self>, Failure> {
        let Some(schema) = &agent.output_schema else {
            return Ok(None);
        };
        match jsonschema::options().offline().build(schema) {
            Ok(validator) => Ok(Some(Self { validator })),
            Err(error) => Err(Failure::new(
                Class::Configuration,
                format!(
                    "Agent {}/{}: spec.outputSchema is not a JSON Schema: {}.",
                    agent.namespace,
                    agent.name,
                    short(&error.to_string())
                ),
            )),
        }
    }

    /// Checks an answer; the error says what is wrong with it.
    pub(crate) fn check(&self, answer: &str) -> Result<(), String> {
        let value: Value = ark_api::json::from_slice(answer.as_bytes())
            .map_err(|error| format!("it is not JSON ({error})"))?;
        self.validator.validate(&value).map_err(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            format!("at {place}: {}", short(&error.to_string()))
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(schema: Value) -> Result<Option<OutputSchema>, Failure> {
        let agent = json!({
            "namespace": "n", "name": "a", "prompt": "", "maxTurns": 1, "outputSchema": schema,
            "model": {"namespace": "n", "name": "m", "provider": "openai", "model": {"literal": "m"},
                "baseUrl": {"literal": "http://x"}, "scope": 1},
        });
        OutputSchema::of(&serde_json::from_value(agent).unwrap())
    }

    #[test]
    fn answers_are_checked_and_the_fault_is_named() {
        let schema = schema(json!({
            "type": "object", "required": ["mood"], "properties": {"mood": {"enum": ["good", "bad"]}},
        }))
        .unwrap()
        .unwrap();
        assert_eq!(schema.check(r#" {"mood": "good", "more": 1} "#), Ok(()));
        for (answer, why) in [
            ("```json\n{}\n```", "not JSON"),
            ("", "not JSON"),
            ("{}", "mood"),
            (r#"{"mood": "so-so"}"#, "at /mood: "),
        ] {
            let error = schema.check(answer).unwrap_err();
            assert!(error.contains(why), "{answer}: {error}");
        }
    }

    #[test]
    fn a_schema_that_is_none_is_found_before_the_model_is_asked() {
        for broken in [
            json!({"type": "text"}),
            json!({"$ref": "https://example.com/other.json"}),
        ] {
            let failure = schema(broken).map(|_| ()).unwrap_err();
            assert_eq!(failure.class, Class::Configuration);
            assert!(
                failure.sentence.contains("outputSchema"),
                "{}",
                failure.sentence
            );
        }
        assert!(schema(Value::Null).unwrap().is_none());
    }

    #[test]
    fn schemas_that_refer_to_themselves_come_to_an_end() {
        for (endless, fits) in [
            (json!({"$ref": "#"}), None),
            (json!({"allOf": [{"$ref": "#"}]}), None),
            (
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}),
                None,
            ),
            (
                json!({"type": "object", "properties": {"next": {"$ref": "#"}}}),
                Some(r#"{"next": {"next": {}}}"#),
            ),
        ] {
            let schema = schema(endless.clone()).map(Option::unwrap);
            let found = schema.map(|schema| schema.check(fits.unwrap_or("1")).is_ok());
            if fits.is_some() {
                assert_eq!(found, Ok(true), "{endless}");
            }
        }
    }
}
