//! Go templates, as Ark's prompts, inputs, HTTP bodies and selector prompts use them: what Go's `text/template` makes of
//! decoded JSON, with its default functions. Rendering is bounded in time, depth and length.

mod ast;
mod budget;
mod compare;
mod escape;
mod evaluate;
mod execute;
mod float;
mod format;
mod functions;
mod integer;
mod lex;
mod literal;
mod parse;
mod pipeline;
mod printf;
mod quote;
mod value;

use std::collections::BTreeMap;

use serde_json::Value;

use ast::{Node, OperandKind};
pub use parse::parse;

/// The most bytes that a template may render to.
pub const MAX_OUTPUT: usize = 10 << 20;

/// Blocks and parentheses in each other; more is refused when parsing.
const MAX_NESTING: usize = 100;

/// The name of the template itself, which none of its definitions may take.
const MAIN: &str = "t";

/// Why a template cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// Go refuses it too.
    Syntax,
    /// Go takes it, this version does not.
    Unsupported,
    /// It does not fit the data, such as a field of a string.
    Data,
    /// It is too deep, takes too long or renders to too much.
    Limit,
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

/// A parsed template with the templates that it defines.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    definitions: BTreeMap<String, Vec<Node>>,
}

/// A rendered template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text; bytes that are no UTF-8 are replaced, as they can only come of cut strings.
    pub text: String,
    /// Dotted paths and variables that were to be printed and had no value, each once; most stand as `<no value>`.
    pub missing: Vec<String>,
}

/// Parses and renders in one go.
pub fn render(template: &str, data: &Value) -> Result<Rendered, TemplateError> {
    parse(template)?.render(data)
}

impl Template {
    /// Fills in the data; fields that are absent render as `<no value>`, as Go's default is.
    pub fn render(&self, data: &Value) -> Result<Rendered, TemplateError> {
        execute::render(self, data)
    }

    /// The dotted paths that the template reads as they are written, definition by definition, repeated ones included.
    pub fn fields(&self) -> impl Iterator<Item = String> + '_ {
        let mut fields = Vec::new();
        for nodes in self.definitions.values() {
            ast::each_operand(nodes, &mut |operand| match &operand.kind {
                OperandKind::Field(path) => fields.push(path.join(".")),
                OperandKind::Variable(name, path) if name == "$" => fields.push(path.join(".")),
                _ => {}
            });
        }
        fields.into_iter()
    }
}

#[cfg(test)]
mod tests;
