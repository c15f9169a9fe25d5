//! Turns the pieces of a template into nodes, or says what is wrong or not supported.

use super::lex::{Kind, Piece, Token, pieces, syntax};
use super::literal::{self, Refused};
use super::{Node, Place, Template, TemplateError, TemplateErrorKind};

const KEYWORDS: [&str; 7] = [
    "if", "range", "with", "define", "block", "template", "return",
];
const FUNCTIONS: [&str; 20] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery", "nil",
];

/// Parses a template without data, so that a wrong one is found before anything runs.
pub fn parse(template: &str) -> Result<Template, TemplateError> {
    let nodes = pieces(template)?.into_iter().map(|piece| match piece {
        Piece::Text(text) => Ok(Node::Text(text.to_owned())),
        Piece::Action(tokens, place) => action(&tokens, place),
    });
    let nodes = nodes.collect::<Result<_, _>>()?;
    Ok(Template { nodes })
}

fn action(tokens: &[Token<'_>], place: Place) -> Result<Node, TemplateError> {
    let start = tokens
        .iter()
        .position(|t| t.kind != Kind::Space)
        .unwrap_or(tokens.len());
    let end = tokens
        .iter()
        .rposition(|t| t.kind != Kind::Space)
        .map_or(start, |i| i + 1);
    let tokens = &tokens[start..end];
    let Some((first, rest)) = tokens.split_first() else {
        return Err(syntax(place, "missing value for command"));
    };
    if first.kind == Kind::Word {
        return word(first, rest);
    }
    let fields = rest.iter().take_while(|t| t.kind == Kind::Field);
    let path: Vec<String> = fields.clone().map(|t| t.text[1..].to_owned()).collect();
    let others = &rest[path.len()..];
    match first.kind {
        Kind::Field => {
            nothing_else(others)?;
            let path = std::iter::once(first.text[1..].to_owned())
                .chain(path)
                .collect();
            Ok(Node::Field(path, first.place))
        }
        Kind::Variable if first.text == "$" => {
            nothing_else(others)?;
            Ok(Node::Field(path, first.place))
        }
        Kind::Variable => Err(variable(first, rest)),
        Kind::Dot => {
            nothing_else(rest)?;
            Ok(Node::Field(Vec::new(), first.place))
        }
        Kind::Punctuation if first.text == "(" => Err(unsupported(first.place, "parentheses")),
        Kind::Punctuation => Err(syntax(
            first.place,
            format!("unexpected {:?} in command", first.text),
        )),
        _ => {
            nothing_else(rest)?;
            constant(first)
        }
    }
}

fn word(word: &Token<'_>, rest: &[Token<'_>]) -> Result<Node, TemplateError> {
    let text = word.text;
    match text {
        "true" | "false" => {
            nothing_else(rest)?;
            Ok(Node::Literal(text.to_owned()))
        }
        "end" | "else" => Err(syntax(word.place, format!("unexpected {{{{{text}}}}}"))),
        "break" | "continue" => Err(syntax(
            word.place,
            format!("{{{{{text}}}}} outside {{{{range}}}}"),
        )),
        _ if KEYWORDS.contains(&text) => Err(unsupported(word.place, format!("{{{{{text}}}}}"))),
        _ if FUNCTIONS.contains(&text) => {
            Err(unsupported(word.place, format!("the function {text}")))
        }
        _ => Err(syntax(word.place, format!("function {text:?} not defined"))),
    }
}

fn constant(token: &Token<'_>) -> Result<Node, TemplateError> {
    let printed = match token.kind {
        Kind::Quoted => literal::string(token.text),
        Kind::Character => literal::character(token.text),
        Kind::Number => literal::number(token.text),
        _ => Ok(token.text[1..token.text.len() - 1].replace('\r', "")),
    };
    printed.map(Node::Literal).map_err(|refused| match refused {
        Refused::Bad(message) => syntax(token.place, message),
        Refused::Unsupported(what) => unsupported(token.place, what),
    })
}

fn variable(token: &Token<'_>, rest: &[Token<'_>]) -> TemplateError {
    let next = rest.iter().find(|t| t.kind != Kind::Space);
    match next {
        Some(next) if next.text == ":=" => unsupported(token.place, "declaring a variable"),
        _ => syntax(token.place, format!("undefined variable {:?}", token.text)),
    }
}

// One operand is all that an action may hold for now.
fn nothing_else(rest: &[Token<'_>]) -> Result<(), TemplateError> {
    let Some(next) = rest.iter().find(|t| t.kind != Kind::Space) else {
        return Ok(());
    };
    Err(match next.kind {
        Kind::Punctuation if next.text == "|" => unsupported(next.place, "a pipeline"),
        Kind::Word if !FUNCTIONS.contains(&next.text) && !matches!(next.text, "true" | "false") => {
            syntax(next.place, format!("function {:?} not defined", next.text))
        }
        _ => syntax(
            next.place,
            format!("unexpected {:?}: a value takes no arguments", next.text),
        ),
    })
}

fn unsupported(place: Place, what: impl std::fmt::Display) -> TemplateError {
    place.error(
        TemplateErrorKind::Unsupported,
        format!("{what} is not supported yet, only plain fields such as {{{{.name}}}}"),
    )
}
