use std::path::Path;

use serde_json::{Value, json};

use super::*;

// Cases of Go's own answers that this subset renders; a smaller number means that something stopped working.
const RENDERED: usize = 59;

/// Every template of the corpus renders as Go renders it, or is refused: as unsupported where Go takes it.
#[test]
fn renders_as_go_does_or_refuses() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/compat/go-template/cases.jsonl");
    let Ok(cases) = std::fs::read_to_string(&corpus) else {
        println!("SKIPPED: renders_as_go_does_or_refuses: the corpus of Go templates is not here");
        return;
    };
    let mut rendered = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap();
        match (render(template, &case["data"]), case["want"].as_str()) {
            (Ok(ours), Some(want)) => {
                assert_eq!(ours.text, want, "{template}");
                rendered += 1;
            }
            (Ok(ours), None) => panic!("{template}: Go fails, but we render {:?}", ours.text),
            (Err(error), Some(_)) => assert_eq!(
                error.kind,
                TemplateErrorKind::Unsupported,
                "{template}: {error}"
            ),
            (Err(error), None) => assert!(error.line >= 1 && error.column >= 1, "{template}"),
        }
    }
    assert_eq!(rendered, RENDERED);
}

#[test]
fn names_what_is_missing() {
    let data = json!({"a": {"b": 1}, "none": null});
    let rendered = render("{{.x}} {{.a.b}} {{.a.c.d}} {{.x}} {{.none}}", &data).unwrap();
    assert_eq!(
        rendered.text,
        "<no value> 1 <no value> <no value> <no value>"
    );
    assert_eq!(rendered.missing, ["x", "a.c.d", "none"]);
}

#[test]
fn names_the_place_and_the_construct() {
    let cases = [
        (
            "{{if .a}}x{{end}}",
            "1:3: {{if}} is not supported yet",
            TemplateErrorKind::Unsupported,
        ),
        (
            "ä\n zwei {{ .a | html }}",
            "2:13: a pipeline is not supported yet",
            TemplateErrorKind::Unsupported,
        ),
        (
            "\n\n  {{$x := 1}}",
            "3:5: declaring a variable is not supported yet",
            TemplateErrorKind::Unsupported,
        ),
        ("x {{.a", "1:3: unclosed action", TemplateErrorKind::Syntax),
        (
            "{{.a-b}}",
            "1:5: bad character '-'",
            TemplateErrorKind::Syntax,
        ),
        (
            "{{.a b}}",
            "1:6: function \"b\" not defined",
            TemplateErrorKind::Syntax,
        ),
        (
            "{{.a .b}}",
            "1:6: unexpected \".b\"",
            TemplateErrorKind::Syntax,
        ),
        (
            "{{}}",
            "1:1: missing value for command",
            TemplateErrorKind::Syntax,
        ),
    ];
    for (template, message, kind) in cases {
        let error = parse(template).unwrap_err();
        assert!(
            error.to_string().starts_with(message),
            "{template}: {error}"
        );
        assert_eq!(error.kind, kind, "{template}");
    }
    let error = render("a {{.n.x}}", &json!({"n": 1})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1:5: .n is a number, which has no field x"
    );
}

#[test]
fn lists_the_fields_it_reads() {
    let template = parse("{{.a}} {{.Query.city}} {{$.b}} {{1}}").unwrap();
    assert_eq!(
        template.fields().collect::<Vec<_>>(),
        ["a", "Query.city", "b"]
    );
}

#[test]
fn prints_numbers_as_go_does() {
    let cases = [
        (0.0, "0"),
        (-0.0, "-0"),
        (999_999.0, "999999"),
        (1e6, "1e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-1.5e-7, "-1.5e-07"),
        (123_456_789.5, "1.234567895e+08"),
    ];
    for (value, want) in cases {
        assert_eq!(go_value::float(value), want);
    }
}
