//! jq expressions over a tool's result.

use std::thread::Builder;
use std::time::{Duration, Instant};

use ark_plan::Class;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, load};
use jaq_json::{Val, read};
use serde_json::Value;

use super::meter::{Meter, Metered, STACK_BYTES};
use crate::failure::Failure;

/// What all expressions of one result may take together; each of them may loop for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one step may take that cannot be interrupted, such as a regular expression.
const ONE_STEP: Duration = Duration::from_secs(5);

const MAX_OUTPUTS: usize = 100_000;

/// The parser recurses with the nesting of what it reads, which this bounds.
const MAX_EXPRESSION_BYTES: usize = 4096;

/// The library's own `range` makes its values without a step in between, of which it may make billions. This one
/// comes before all other definitions and uses none of them.
const RANGE: &str = "def range($from; $to; $by):
    def up: if . < $to then ., (. + $by | up) else [][] end;
    def down: if . > $to then ., (. + $by | down) else [][] end;
    def off: if . != $to then ., (. + $by | off) else [][] end;
    $from | if $by > 0 then up elif $by < 0 then down else off end;";

/// Applies `filters` in order. Text that is not JSON passes through untouched.
pub(super) async fn apply(tool: &str, filters: &[String], text: String) -> Result<String, Failure> {
    let (filters, named) = (filters.to_vec(), tool.to_owned());
    let deadline = Instant::now() + PATIENCE;
    let work = tokio::task::spawn_blocking(move || apply_all(&filters, text, deadline));
    match tokio::time::timeout(PATIENCE + ONE_STEP, work).await {
        Ok(Ok(result)) => result.map_err(|why| failure(&named, &why)),
        Ok(Err(_)) => Err(failure(&named, "it failed in an unforeseen way")),
        Err(_) => Err(failure(&named, "it did not end in time")),
    }
}

fn failure(tool: &str, why: &str) -> Failure {
    Failure::new(
        Class::Configuration,
        format!("The jq filter on Tool {tool}: {why}."),
    )
}

/// Applies them on a stack of its own, as an overflow would end the process with all its runs.
fn apply_all<F: AsRef<str> + Sync>(
    filters: &[F],
    text: String,
    deadline: Instant,
) -> Result<String, String> {
    let work = || {
        filters.iter().try_fold(text, |text, filter| {
            apply_one(filter.as_ref(), text, deadline)
        })
    };
    std::thread::scope(|scope| {
        let thread = Builder::new().stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, work).map(|thread| thread.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("it failed in an unforeseen way".to_owned()),
            Err(error) => Err(format!("there is no thread for it ({error})")),
        }
    })
}

/// No output is the empty string, one output its JSON, more a JSON array.
fn apply_one(filter: &str, text: String, deadline: Instant) -> Result<String, String> {
    let clean = ark_api::json::replace_lone_surrogates(text.as_bytes());
    // serde_json bounds the depth; the other parser recurses without one.
    if serde_json::from_slice::<Value>(&clean).is_err() {
        return Ok(text);
    }
    let Ok(input) = read::parse_single(&clean) else {
        return Ok(text);
    };
    let outputs = evaluate(filter, input, deadline)
        .map_err(|why| format!("the expression {filter:?} {why}"))?;
    Ok(match outputs.as_slice() {
        [one] => one.clone(),
        [] => String::new(),
        many => format!("[{}]", many.join(",")),
    })
}

fn evaluate(filter: &str, input: Val, deadline: Instant) -> Result<Vec<String>, String> {
    if filter.len() > MAX_EXPRESSION_BYTES {
        return Err(format!("is longer than {MAX_EXPRESSION_BYTES} bytes"));
    }
    let arena = Arena::default();
    let range = load::parse(RANGE, |parser| parser.defs()).unwrap_or_default();
    let definitions = range
        .into_iter()
        .chain(jaq_core::defs())
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    let code = File {
        code: filter,
        path: (),
    };
    let modules = Loader::new(definitions)
        .load(&arena, code)
        .map_err(|_| "cannot be parsed")?;
    let core = jaq_core::funs().filter(|(name, ..)| *name != "range");
    // The environment of this process holds credentials and is none of a tool's business.
    let library = jaq_std::funs().filter(|(name, ..)| *name != "env");
    let compiled = Compiler::<_, Metered>::default()
        .with_funs(core.chain(library).chain(jaq_json::funs()))
        .compile(modules)
        .map_err(|_| "uses something that is not defined")?;
    Meter::run(deadline, |meter| {
        let context = Ctx::<Metered>::new(meter.over(&compiled.lut), Vars::new([]));
        let mut outputs = Vec::new();
        for output in compiled.id.run((context, input)) {
            let value = output.map_err(|exception| match exception.get_err() {
                Ok(error) => format!("failed: {error}"),
                // The library's own unwrapping would end the process.
                Err(_) => "halts".to_owned(),
            })?;
            outputs.push(value.to_string());
            if outputs.len() > MAX_OUTPUTS {
                return Err(format!("makes more than {MAX_OUTPUTS} values"));
            }
        }
        Ok(outputs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(filters: &[&str], text: &str) -> Result<String, String> {
        apply_all(filters, text.to_owned(), Instant::now() + PATIENCE)
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
    fn an_expression_cannot_end_the_process() {
        for halting in ["halt", "halt(1)", "1, halt_error"] {
            assert!(filtered(&[halting], "{}").unwrap_err().contains("halts"));
        }
    }

    #[test]
    fn depth_is_harmless() {
        let deep = "[".repeat(100_000);
        assert_eq!(filtered(&["."], &deep).unwrap(), deep);
    }

    #[test]
    fn no_expression_outlives_its_deadline_or_the_stack() {
        for (endless, why) in [
            ("def f: f; f", "in time"),
            ("last(repeat(1))", "in time"),
            ("[range(1e15)]", "in time"),
            ("reduce repeat(1) as $x (0; . + $x)", "in time"),
            ("first(empty, repeat(empty))", ""),
            ("def f: 1 + f; f", "too deep"),
            ("def f: [f]; f", "too deep"),
            ("[limit(1e12; repeat(1))] | length", ""),
        ] {
            let started = Instant::now();
            let deadline = started + Duration::from_millis(200);
            let error = apply_all(&[endless], "{}".to_owned(), deadline).unwrap_err();
            assert!(error.contains(why), "{endless}: {error}");
            assert!(started.elapsed() < Duration::from_secs(5), "{endless}");
        }
    }

    #[test]
    fn nesting_of_any_kind_leaves_the_stack_whole() {
        let nested = |open: &str, middle: &str, close: &str| {
            let times = (MAX_EXPRESSION_BYTES - middle.len()) / (open.len() + close.len());
            [&open.repeat(times), middle, &close.repeat(times)].concat()
        };
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{a:", "1", "}"),
            (".[", "0", "]"),
            ("-", "1", ""),
            ("try ", "1", ""),
            (".?//", "1", ""),
            ("1|", "1", ""),
            ("1,", "1", ""),
            ("if 1 then ", "1", " else 1 end"),
            ("1 as $x|", "1", ""),
            ("def f:", "1", ";f"),
            ("\"\\(", "1", ")\""),
            ("label $x|", "1", ""),
            ("reduce 1 as $x(1;", "1", ")"),
        ] {
            let expression = nested(open, middle, close);
            // Whatever it comes to, it comes to an end.
            drop(filtered(&[&expression], "{}"));
        }
        let long = " ".repeat(MAX_EXPRESSION_BYTES) + ".";
        assert!(
            filtered(&[&long], "{}")
                .unwrap_err()
                .contains("longer than")
        );
    }

    #[test]
    fn ranges_are_those_of_jq() {
        for (expression, values) in [
            ("[range(3)]", "[0,1,2]"),
            ("[range(2; 4)]", "[2,3]"),
            ("[range(0; 10; 4)]", "[0,4,8]"),
            ("[range(3; 0; -2)]", "[3,1]"),
            ("[range(0, 1; 2)]", "[0,1,1]"),
        ] {
            assert_eq!(
                filtered(&[expression], "null").unwrap(),
                values,
                "{expression}"
            );
        }
        let many = filtered(&["[range(100000)] | length"], "null");
        assert_eq!(many.unwrap(), "100000");
    }
}
