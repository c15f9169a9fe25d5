//! What a template consists of, once parsed.

use super::Place;
use super::functions::Function;

/// A piece of a template's body.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// `{{pipeline}}`: prints its value, unless it only sets variables.
    Action(Pipeline),
    If(Branches),
    With(Branches),
    Range(Branches),
    Break,
    Continue,
    /// `{{template "name" pipeline}}`, and what `{{block}}` leaves behind.
    Call {
        name: String,
        argument: Option<Pipeline>,
        place: Place,
    },
}

/// A condition with its two bodies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branches {
    pub(super) pipeline: Pipeline,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands whose results go into the next one's last argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub(super) place: Place,
    /// Variables, with their `$`, that take the value.
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    /// Each with at least one operand, of which the first is what is called.
    pub(super) commands: Vec<Vec<Operand>>,
}

/// A value, or the function that stands first in a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) place: Place,
    pub(super) kind: OperandKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum OperandKind {
    Dot,
    Nil,
    Constant(Constant),
    /// `.a.b`.
    Field(Vec<String>),
    /// `$x.a.b`; the name has its `$`.
    Variable(String, Vec<String>),
    Function(Function),
    Parenthesized(Box<Pipeline>),
    /// `(pipeline).a.b`, and fields of a function's result.
    Chain(Box<Operand>, Vec<String>),
}

/// A constant; a number in a template is an integer unless it is written as a fraction.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Vec<u8>),
}

/// Calls `see` with every operand of the nodes in order, nested ones included.
pub(super) fn each_operand<'t>(nodes: &'t [Node], see: &mut impl FnMut(&'t Operand)) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Action(pipeline) => in_pipeline(pipeline, see),
            Node::If(branches) | Node::With(branches) | Node::Range(branches) => {
                in_pipeline(&branches.pipeline, see);
                each_operand(&branches.then, see);
                each_operand(&branches.otherwise, see);
            }
            Node::Call { argument, .. } => {
                if let Some(pipeline) = argument {
                    in_pipeline(pipeline, see);
                }
            }
        }
    }
}

fn in_pipeline<'t>(pipeline: &'t Pipeline, see: &mut impl FnMut(&'t Operand)) {
    for operand in pipeline.commands.iter().flatten() {
        in_operand(operand, see);
    }
}

fn in_operand<'t>(operand: &'t Operand, see: &mut impl FnMut(&'t Operand)) {
    see(operand);
    match &operand.kind {
        OperandKind::Parenthesized(pipeline) => in_pipeline(pipeline, see),
        OperandKind::Chain(inner, _) => in_operand(inner, see),
        _ => {}
    }
}
