//! Go templates, as Ark's prompts, inputs and HTTP bodies use them: text, fields, literals, comments and trim markers.
//! What Go's `text/template` can do beyond that is refused by name and place, never rendered wrongly.

mod go_value;
mod lex;
mod literal;
mod parse;

use serde_json::Value;

use go_value::GoValue;
pub use parse::parse;

/// Why a template cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// Go refuses it too.
    Syntax,
    /// Go takes it, this version does not.
    Unsupported,
    /// It does not fit the data, such as a field of a string.
    Data,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct TemplateError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// One clause that names the construct.
    pub message: String,
    /// Whose limit it is.
    pub kind: TemplateErrorKind,
}

/// A place in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn error(self, kind: TemplateErrorKind, message: impl Into<String>) -> TemplateError {
        TemplateError {
            line: self.line,
            column: self.column,
            message: message.into(),
            kind,
        }
    }
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    /// A literal, already printed.
    Literal(String),
    /// The data itself when empty, else the fields to follow.
    Field(Vec<String>, Place),
}

/// A rendered template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Dotted paths that had no value and stand as `<no value>`, each once.
    pub missing: Vec<String>,
}

/// Parses and renders in one go.
pub fn render(template: &str, data: &Value) -> Result<Rendered, TemplateError> {
    parse(template)?.render(data)
}

impl Template {
    /// Fills in the data; fields that are absent render as `<no value>`, as Go's default is.
    pub fn render(&self, data: &Value) -> Result<Rendered, TemplateError> {
        let mut rendered = Rendered::default();
        for node in &self.nodes {
            match node {
                Node::Text(text) | Node::Literal(text) => rendered.text.push_str(text),
                Node::Field(path, place) => match follow(data, path, *place)? {
                    Some(value) => rendered.text.push_str(&GoValue(value).to_string()),
                    None => {
                        rendered.text.push_str("<no value>");
                        let name = path.join(".");
                        if !rendered.missing.contains(&name) {
                            rendered.missing.push(name);
                        }
                    }
                },
            }
        }
        Ok(rendered)
    }

    /// The dotted paths that the template reads, in order, repeated ones included.
    pub fn fields(&self) -> impl Iterator<Item = String> + '_ {
        self.nodes.iter().filter_map(|node| match node {
            Node::Field(path, _) => Some(path.join(".")),
            _ => None,
        })
    }
}

// Go tells an absent key, whose fields are absent too, from a null, which has none.
fn follow<'a>(
    data: &'a Value,
    path: &[String],
    place: Place,
) -> Result<Option<&'a Value>, TemplateError> {
    let mut value = data;
    for (depth, field) in path.iter().enumerate() {
        value = match value {
            Value::Object(members) => match members.get(field) {
                Some(member) => member,
                None => return Ok(None),
            },
            other => {
                let holder = match depth {
                    0 => "the data".to_owned(),
                    _ => format!(".{}", path[..depth].join(".")),
                };
                let message = format!(
                    "{holder} is {}, which has no field {field}",
                    type_name(other)
                );
                return Err(place.error(TemplateErrorKind::Data, message));
            }
        };
    }
    Ok(Some(value).filter(|value| !value.is_null()))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
