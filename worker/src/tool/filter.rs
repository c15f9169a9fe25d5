//! jq expressions over a tool's result.

use std::time::Duration;

use ark_plan::Class;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

use crate::failure::Failure;

/// An expression may loop for ever; the run does not wait for it.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_OUTPUTS: usize = 100_000;

/// Applies `filters` in order. Text that is not JSON passes through untouched.
pub(super) async fn apply(tool: &str, filters: &[String], text: String) -> Result<String, Failure> {
    let (filters, named) = (filters.to_vec(), tool.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        filters
            .iter()
            .try_fold(text, |text, filter| apply_one(filter, text))
    });
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(result)) => result.map_err(|why| failure(&named, &why)),
        Ok(Err(_)) => Err(failure(&named, "it failed in an unforeseen way")),
        Err(_) => Err(failure(&named, "it did not end within 10 s")),
    }
}

fn failure(tool: &str, why: &str) -> Failure {
    Failure::new(
        Class::Configuration,
        format!("The jq filter on Tool {tool}: {why}."),
    )
}

/// No output is the empty string, one output its JSON, more a JSON array.
fn apply_one(filter: &str, text: String) -> Result<String, String> {
    let clean = ark_api::json::replace_lone_surrogates(text.as_bytes());
    // serde_json bounds the depth; the other parser recurses without one.
    if serde_json::from_slice::<Value>(&clean).is_err() {
        return Ok(text);
    }
    let Ok(input) = read::parse_single(&clean) else {
        return Ok(text);
    };
    let arena = Arena::default();
    let definitions = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let modules = Loader::new(definitions)
        .load(
            &arena,
            File {
                code: filter,
                path: (),
            },
        )
        .map_err(|_| format!("the expression {filter:?} cannot be parsed"))?;
    // The environment of this process holds credentials and is none of a tool's business.
    let library = jaq_std::funs().filter(|(name, ..)| *name != "env");
    let functions = jaq_core::funs().chain(library).chain(jaq_json::funs());
    let compiled = Compiler::default()
        .with_funs(functions)
        .compile(modules)
        .map_err(|_| format!("the expression {filter:?} uses something that is not defined"))?;
    let context = Ctx::<data::JustLut<Val>>::new(&compiled.lut, Vars::new([]));
    let mut outputs = Vec::new();
    for output in compiled.id.run((context, input)).map(unwrap_valr) {
        let value = output.map_err(|error| format!("the expression {filter:?} failed: {error}"))?;
        outputs.push(value.to_string());
        if outputs.len() > MAX_OUTPUTS {
            return Err(format!(
                "the expression {filter:?} makes more than {MAX_OUTPUTS} values"
            ));
        }
    }
    Ok(match outputs.as_slice() {
        [one] => one.clone(),
        [] => String::new(),
        many => format!("[{}]", many.join(",")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(filters: &[&str], text: &str) -> Result<String, String> {
        filters
            .iter()
            .try_fold(text.to_owned(), |text, filter| apply_one(filter, text))
    }

    #[test]
    fn results_are_json_in_order() {
        let text = r#"{"slides":[{"title":"a"},{"title":"b"}],"n":1.5}"#;
        assert_eq!(filtered(&[".slides[0].title"], text).unwrap(), r#""a""#);
        assert_eq!(
            filtered(&[".slides[].title"], text).unwrap(),
            r#"["a","b"]"#
        );
        assert_eq!(
            filtered(&[".slides", "map(.title) | length"], text).unwrap(),
            "2"
        );
        assert_eq!(filtered(&["empty"], text).unwrap(), "");
        assert_eq!(filtered(&["."], "not json").unwrap(), "not json");
    }

    #[test]
    fn a_bad_expression_is_named() {
        assert!(filtered(&[".["], "{}").unwrap_err().contains(".["));
        assert!(
            filtered(&["nonsense"], "{}")
                .unwrap_err()
                .contains("nonsense")
        );
        assert!(filtered(&[".a + {}"], r#"{"a":1}"#).is_err());
    }

    #[test]
    fn the_environment_is_out_of_reach() {
        assert!(filtered(&["env"], "{}").is_err());
        assert!(filtered(&["$ENV"], "{}").is_err());
    }

    #[test]
    fn depth_is_harmless() {
        let deep = "[".repeat(100_000);
        assert_eq!(filtered(&["."], &deep).unwrap(), deep);
    }
}
