//! The part of Kubernetes' JSONPath that printer columns use: names, indices, `*`, and `?(@.name=="value")`.

use serde_json::Value;

#[derive(Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
    Each,
    /// Items whose member has this text.
    Where(String, String),
}

/// The values at `path`, a JSONPath with a leading dot; none if it is absent or the path cannot be read.
pub(crate) fn find<'a>(path: &str, value: &'a Value) -> Vec<&'a Value> {
    let Some(steps) = parse(path) else {
        return Vec::new();
    };
    steps.iter().fold(vec![value], |found, step| {
        found.into_iter().flat_map(|v| follow(step, v)).collect()
    })
}

fn follow<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Name(name), Value::Object(object)) => object.get(name).into_iter().collect(),
        (Step::Index(index), Value::Array(items)) => items.get(*index).into_iter().collect(),
        (Step::Each, Value::Array(items)) => items.iter().collect(),
        (Step::Each, Value::Object(object)) => object.values().collect(),
        (Step::Where(member, text), Value::Array(items)) => {
            let fits = |item: &&Value| item.get(member).and_then(Value::as_str) == Some(text);
            items.iter().filter(fits).collect()
        }
        _ => Vec::new(),
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']')?;
            steps.push(bracket(&after[..end])?);
            rest = &after[end + 1..];
            continue;
        }
        let after = rest.strip_prefix('.')?;
        let (name, next) = dotted_name(after);
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::Each),
            _ => steps.push(Step::Name(name)),
        }
        rest = next;
    }
    Some(steps)
}

/// A name up to the next unescaped dot or bracket, and what follows it.
fn dotted_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(c),
        }
    }
    (name, "")
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::Each);
    }
    if let Some(condition) = inside.strip_prefix("?(") {
        let condition = condition.strip_suffix(')')?;
        let (member, text) = condition.split_once("==")?;
        let member = member.trim().strip_prefix("@.")?;
        return Some(Step::Where(member.to_owned(), unquote(text.trim())?));
    }
    match inside.parse() {
        Ok(index) => Some(Step::Index(index)),
        Err(_) => unquote(inside).map(Step::Name),
    }
}

fn unquote(text: &str) -> Option<String> {
    let quoted = |q: char| text.strip_prefix(q)?.strip_suffix(q);
    quoted('\'').or_else(|| quoted('"')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_paths_of_printer_columns() {
        let value = json!({
            "metadata": {"annotations": {"a.b/c": "x"}},
            "status": {"n": 3, "conditions": [{"type": "Other", "status": "no"}, {"type": "Ready", "status": "True"}]},
        });
        let text = |path| find(path, &value).first().map(|v| v.to_string());
        assert_eq!(text(".status.n").unwrap(), "3");
        for filter in ["@.type=='Ready'", "@.type==\"Ready\""] {
            let path = format!(".status.conditions[?({filter})].status");
            assert_eq!(find(&path, &value), [&json!("True")]);
        }
        assert_eq!(text(".status.conditions[0].status").unwrap(), "\"no\"");
        assert_eq!(text(r".metadata.annotations.a\.b/c").unwrap(), "\"x\"");
        assert_eq!(text(".metadata.annotations['a.b/c']").unwrap(), "\"x\"");
        assert_eq!(text(".status.conditions.length"), None);
        assert_eq!(text(".status[").map(|_| ()), None);
        assert_eq!(find(".status.conditions[*].type", &value).len(), 2);
    }
}
