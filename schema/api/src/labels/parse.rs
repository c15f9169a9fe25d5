//! The grammar of the `labelSelector` query parameter.

use std::collections::BTreeSet;

use super::{Operator, Requirement, Selector, SelectorError};
use crate::names::{label_value_errors, qualified_name_errors};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'static str),
    Unknown,
    End,
}

/// Reads a selector; errors carry the text that Kubernetes answers with.
pub fn parse(text: &str) -> Result<Selector, SelectorError> {
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            (Token::Word(_) | Token::Symbol("!"), _) => {
                let requirement = parser.requirement().map_err(|SelectorError(detail)| {
                    SelectorError(format!("unable to parse requirement: {detail}"))
                })?;
                requirements.push(requirement);
                match parser.next() {
                    (Token::End, _) => return Ok(Selector { requirements }),
                    (Token::Symbol(","), _) => match parser.peek() {
                        (Token::Word(_) | Token::Symbol("!"), _) => {}
                        (_, found) => return fail(found, "expected: identifier after ','"),
                    },
                    (_, found) => return fail(found, "expected: ',' or 'end of string'"),
                }
            }
            (Token::End, _) => return Ok(Selector { requirements }),
            (_, found) => return fail(found, "expected: !, identifier, or 'end of string'"),
        }
    }
}

/// A requirement whose key and values are checked.
pub(super) fn requirement(
    key: &str,
    operator: Operator,
    values: BTreeSet<String>,
) -> Result<Requirement, SelectorError> {
    check_key(key)?;
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            let message =
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty";
            return Err(SelectorError(message.into()));
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            let message =
                "values: Invalid value: values set must be empty for exists and does not exist";
            return Err(SelectorError(message.into()));
        }
        Operator::GreaterThan | Operator::LessThan => {
            if let Some(value) = values.iter().find(|v| v.parse::<i64>().is_err()) {
                return Err(SelectorError(format!(
                    "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                )));
            }
        }
        _ => {}
    }
    for (index, value) in values.iter().enumerate() {
        let wrong = label_value_errors(value);
        if !wrong.is_empty() {
            return Err(SelectorError(format!(
                "values[{index}][{key}]: Invalid value: {value:?}: {}",
                wrong.join("; ")
            )));
        }
    }
    Ok(Requirement {
        key: key.to_owned(),
        operator,
        values,
    })
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    let wrong = qualified_name_errors(key);
    if wrong.is_empty() {
        return Ok(());
    }
    let detail = wrong.join("; ");
    Err(SelectorError(format!(
        "key: Invalid value: {key:?}: {detail}"
    )))
}

fn fail<T>(found: &str, expected: &str) -> Result<T, SelectorError> {
    Err(SelectorError(format!("found '{found}', {expected}")))
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> (Token<'a>, &'a str) {
        Parser { rest: self.rest }.next()
    }

    /// The next token and its text.
    fn next(&mut self) -> (Token<'a>, &'a str) {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let special = |c: char| "=!(),><".contains(c);
        let Some(first) = text.chars().next() else {
            self.rest = text;
            return (Token::End, "");
        };
        if special(first) {
            let symbols = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
            let symbol = symbols.into_iter().find(|s| text.starts_with(s));
            let (found, rest) = text.split_at(symbol.map_or(1, str::len));
            self.rest = rest;
            return (symbol.map_or(Token::Unknown, Token::Symbol), found);
        }
        let end = text.find(|c: char| special(c) || c.is_ascii_whitespace());
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.rest = rest;
        (Token::Word(word), word)
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut operator = Operator::Exists;
        if self.peek().0 == Token::Symbol("!") {
            self.next();
            operator = Operator::DoesNotExist;
        }
        let key = match self.next() {
            (Token::Word(key), _) => key,
            (_, found) => return fail(found, "expected: identifier"),
        };
        check_key(key)
            .map_err(|SelectorError(text)| SelectorError(text.replacen("key:", "<nil>:", 1)))?;
        let at_end = matches!(self.peek().0, Token::End | Token::Symbol(","));
        if at_end || operator == Operator::DoesNotExist {
            return requirement(key, operator, BTreeSet::new());
        }
        let (operator, values) = match self.next() {
            (Token::Word("in"), _) => (Operator::In, self.value_list()?),
            (Token::Word("notin"), _) => (Operator::NotIn, self.value_list()?),
            (Token::Symbol("=" | "=="), _) => (Operator::In, self.single_value()?),
            (Token::Symbol("!="), _) => (Operator::NotIn, self.single_value()?),
            (Token::Symbol(">"), _) => (Operator::GreaterThan, self.single_value()?),
            (Token::Symbol("<"), _) => (Operator::LessThan, self.single_value()?),
            (_, found) => return fail(found, "expected: in, notin, =, ==, !=, gt, lt"),
        };
        requirement(key, operator, values)
    }

    fn single_value(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        if matches!(self.peek().0, Token::End | Token::Symbol(",")) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.next() {
            (Token::Word(value), _) => Ok(BTreeSet::from([value.to_owned()])),
            (_, found) => fail(found, "expected: identifier"),
        }
    }

    /// Values in parentheses; an empty place between commas is the empty value.
    fn value_list(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        match self.next() {
            (Token::Symbol("("), _) => {}
            (_, found) => return Err(SelectorError(format!("found '{found}' expected: '('"))),
        }
        let mut values = BTreeSet::new();
        let mut expecting = true;
        loop {
            match self.next() {
                (Token::Symbol(")"), _) => {
                    if expecting {
                        values.insert(String::new());
                    }
                    return Ok(values);
                }
                (Token::Symbol(","), _) => {
                    if expecting {
                        values.insert(String::new());
                    }
                    expecting = true;
                }
                (Token::Word(value), _) if expecting => {
                    values.insert(value.to_owned());
                    expecting = false;
                }
                (_, found) if !expecting => return fail(found, "expected: ',' or ')'"),
                (_, found) if values.is_empty() => {
                    return fail(found, "expected: ',', ')' or identifier");
                }
                (_, found) => return fail(found, "expected: ',', or identifier"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_kubernetes() {
        for (text, message) in [
            (
                "a in",
                "unable to parse requirement: found '' expected: '('",
            ),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            ("a,", "found '', expected: identifier after ','"),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            (
                "=a",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            (
                "!",
                "unable to parse requirement: found '', expected: identifier",
            ),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "a=(",
                "unable to parse requirement: found '(', expected: identifier",
            ),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
        let message = parse("a=-").unwrap_err().to_string();
        let start =
            "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label";
        assert!(message.starts_with(start), "{message}");
        let message = parse("-=a").unwrap_err().to_string();
        let start = "unable to parse requirement: <nil>: Invalid value: \"-\": name part must";
        assert!(message.starts_with(start), "{message}");
    }
}
