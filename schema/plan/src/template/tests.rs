use serde_json::{Value, json};

use super::*;

/// Every template of the corpus renders as Go 1.26 renders it, byte for byte, and fails where Go fails: 176 like those of
/// prompts, the others thrown together at random.
#[test]
fn renders_as_go_does() {
    let cases = include_str!("../../tests/data/go-template.jsonl");
    let mut wrong = Vec::new();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap();
        match (render(template, &case["data"]), case["want"].as_str()) {
            (Ok(ours), Some(want)) if ours.text == want => {}
            (Err(error), None) => {
                let stage = match error.kind {
                    TemplateErrorKind::Syntax | TemplateErrorKind::Unsupported => "parse",
                    _ => "execute",
                };
                assert!(error.line >= 1 && error.column >= 1, "{template}");
                if case["error"] != stage {
                    wrong.push(format!(
                        "{template}: {error} when {stage}, not {}",
                        case["error"]
                    ));
                }
            }
            (ours, want) => wrong.push(format!("{template}: {ours:?}, not {want:?}")),
        }
    }
    assert_eq!(cases.lines().count(), 445);
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn names_what_is_missing() {
    let data = json!({"a": {"b": 1}, "none": null, "list": [{"n": 1}, {}]});
    let rendered = render("{{.x}} {{.a.b}} {{.a.c.d}} {{.x}} {{.none}}", &data).unwrap();
    assert_eq!(
        rendered.text,
        "<no value> 1 <no value> <no value> <no value>"
    );
    assert_eq!(rendered.missing, ["x", "a.c.d", "none"]);
    let missing = |template: &str| render(template, &data).unwrap().missing;
    assert_eq!(missing("{{range .list}}{{.n}}{{end}}"), ["n"]);
    assert_eq!(missing("{{$v := .x}}{{$v}}"), ["$v"]);
    assert_eq!(missing("{{printf `%v` .x}} {{.y | html}}"), ["x", "y"]);
    let asked = "{{if .x}}{{.x}}{{end}}{{with .x}}{{end}}{{or .x 1}}{{not .x}}{{eq .x 1}}";
    assert_eq!(missing(asked), [""; 0]);
}

#[test]
fn names_the_place() {
    let cases = [
        ("x {{.a", "1:3: unclosed action"),
        ("{{.a-b}}", "1:5: bad character '-'"),
        ("{{.a b}}", "1:6: function \"b\" not defined"),
        ("{{}}", "1:1: missing value for command"),
        ("ä\n zwei {{ .a | | }}", "2:15: unexpected \"|\" in command"),
        ("\n{{if .a}}x", "2:3: {{if}} has no {{end}}"),
        (
            "{{range .a}}{{else if}}{{end}}",
            "1:20: unexpected \"if\" in else",
        ),
        ("a {{.n.x}}", "1:5: .n is a number, which has no field x"),
        (
            "{{\n len .n }}",
            "2:2: error calling len: len of type float64",
        ),
        ("{{.n 1}}", "1:3: n is not a method but has arguments"),
        ("{{$x = 1}}", "1:3: undefined variable: $x"),
    ];
    for (template, message) in cases {
        let error = render(template, &json!({"n": 1})).unwrap_err();
        assert!(
            error.to_string().starts_with(message),
            "{template}: {error}"
        );
    }
}

#[test]
fn lists_the_fields_it_reads() {
    let template = parse("{{.a}} {{if .Query.city}}{{$.b}}{{end}} {{len (print .c)}}").unwrap();
    assert_eq!(
        template.fields().collect::<Vec<_>>(),
        ["a", "Query.city", "b", "c"]
    );
}

#[test]
fn a_template_cannot_take_the_process_down() {
    let deep = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let cases = [
        deep("{{if true}}", "x", "{{end}}", 100_000),
        format!("{{{{{}}}}}", deep("(", "1", ")", 100_000)),
        format!("{{{{if 1}}}}{}{{{{end}}}}", "{{else if 1}}".repeat(100_000)),
        deep("{{block \"x\" .}}", "x", "{{end}}", 100_000),
        "{{define \"f\"}}{{if 1}}{{template \"f\" .}}{{end}}{{end}}{{template \"f\" .}}".to_owned(),
        "{{range 4000000000000}}{{end}}".to_owned(),
        "{{range 4000000000000}}{{printf \"%1000000d\" 1}}{{end}}".to_owned(),
        "{{$x := \"x\"}}{{range 1000}}{{$x = print $x $x}}{{end}}".to_owned(),
        format!("{{{{printf \"{}\" 1000000 1}}}}", "%[1]*d".repeat(1000)),
        "{{printf \"%1000000v\" .list}}".to_owned(),
        "{{range 4000000}}{{if lt $.long $.long}}{{end}}{{end}}".to_owned(),
    ];
    let data = json!({"list": vec![1; 100_000], "long": "x".repeat(1 << 20)});
    for template in cases {
        let error = render(&template, &data).unwrap_err();
        assert_eq!(error.kind, TemplateErrorKind::Limit, "{error}");
    }
    let nested = deep("{{if (true)}}", "x", "{{end}}", 99);
    assert_eq!(render(&nested, &json!({})).unwrap().text, "x");
}

/// Whatever is thrown together from parts of templates, it renders or fails, but does not panic.
#[test]
fn no_template_panics() {
    const PARTS: [&str; 62] = [
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "\n",
        "/*",
        "*/",
        ".",
        ".a",
        ".l",
        ".m",
        ".s",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        "|",
        "(",
        ")",
        "if ",
        "else ",
        "else",
        "end",
        "range ",
        "with ",
        "define ",
        "block ",
        "template ",
        "break",
        "continue",
        "print ",
        "printf ",
        "index ",
        "slice ",
        "len ",
        "and ",
        "or ",
        "not ",
        "eq ",
        "lt ",
        "html ",
        "js ",
        "urlquery ",
        "call ",
        "nil",
        "true",
        "0",
        "1",
        "-7",
        "2.5",
        "1e30",
        "0x1F",
        "'x'",
        "\"é\"",
        "`%v`",
        "\"%+08.3q\"",
        "\"%[2]*.[1]*x\"",
        "\"%#U %c\"",
        "ü",
        "text",
    ];
    let data = json!({"a": 1.5, "l": [1, "é", null, {"a": []}], "m": {"k": "v"}, "s": "日本\u{1F600}\u{0}", "n": null});
    let mut state: u64 = 42;
    let mut next = |below: usize| {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) as usize % below
    };
    let mut rendered = 0;
    for _ in 0..30_000 {
        let mut template = String::new();
        for _ in 0..1 + next(3) {
            template.push_str("{{");
            for _ in 0..1 + next(6) {
                template.push_str(PARTS[next(PARTS.len())]);
                template.push_str([" ", ""][next(2)]);
            }
            template.push_str("}}");
        }
        rendered += usize::from(render(&template, &data).is_ok());
    }
    assert!(rendered > 300, "only {rendered} were templates at all");
}
