//! Runs a template over data: bodies, conditions, loops and calls of other templates.

use serde_json::Value as Json;

use super::ast::{Branches, Node};
use super::budget::Budget;
use super::format;
use super::value::Value;
use super::{MAIN, Place, Rendered, Template, TemplateError, TemplateErrorKind};

/// How a body was left.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Through,
    Break,
    Continue,
}

/// A running template.
pub(super) struct Execution<'a> {
    template: &'a Template,
    output: Vec<u8>,
    /// The variables that are set, the newest last; `$` is the first.
    pub(super) variables: Vec<(&'a str, Value<'a>)>,
    pub(super) budget: Budget,
    /// What was missing in the action that is being evaluated.
    pub(super) absent: Vec<String>,
    missing: Vec<String>,
}

pub(super) fn render(template: &Template, data: &Json) -> Result<Rendered, TemplateError> {
    let dot = Value::of(data);
    let mut execution = Execution {
        template,
        output: Vec::new(),
        variables: vec![("$", dot.clone())],
        budget: Budget::new(),
        absent: Vec::new(),
        missing: Vec::new(),
    };
    let main = template.definitions.get(MAIN);
    execution.body(main.map_or(&[], Vec::as_slice), &dot)?;
    let text = match String::from_utf8(execution.output) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    Ok(Rendered {
        text,
        missing: execution.missing,
    })
}

impl<'a> Execution<'a> {
    fn body(&mut self, nodes: &'a [Node], dot: &Value<'a>) -> Result<Flow, TemplateError> {
        let visible = self.variables.len();
        let mut flow = Flow::Through;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::Through {
                break;
            }
        }
        self.variables.truncate(visible);
        Ok(flow)
    }

    fn node(&mut self, node: &'a Node, dot: &Value<'a>) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.write(text.as_bytes(), Place { line: 1, column: 1 })?,
            Node::Action(pipeline) => {
                self.absent.clear();
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print(&value, pipeline.place)?;
                }
            }
            Node::If(branches) => return self.condition(branches, dot, false),
            Node::With(branches) => return self.condition(branches, dot, true),
            Node::Range(branches) => return self.range(branches, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Call {
                name,
                argument,
                place,
            } => {
                let argument = match argument {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Missing,
                };
                self.call(name, argument, *place)?;
            }
        }
        Ok(Flow::Through)
    }

    fn print(&mut self, value: &Value<'a>, place: Place) -> Result<(), TemplateError> {
        let mut printed = Vec::new();
        match value {
            Value::Missing | Value::Null => printed.extend_from_slice(b"<no value>"),
            Value::Text(text) => return self.note_and_write(text, place),
            value => format::plain(&mut printed, value),
        }
        if value.is_nothing() && self.absent.is_empty() {
            self.absent.push(".".to_owned());
        }
        self.note_and_write(&printed, place)
    }

    fn note_and_write(&mut self, bytes: &[u8], place: Place) -> Result<(), TemplateError> {
        for name in self.absent.drain(..) {
            if !self.missing.contains(&name) {
                self.missing.push(name);
            }
        }
        self.write(bytes, place)
    }

    fn write(&mut self, bytes: &[u8], place: Place) -> Result<(), TemplateError> {
        self.budget.output(self.output.len() + bytes.len(), place)?;
        self.budget.spend(bytes.len(), place)?;
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    fn condition(
        &mut self,
        branches: &'a Branches,
        dot: &Value<'a>,
        is_with: bool,
    ) -> Result<Flow, TemplateError> {
        let place = branches.pipeline.place;
        self.budget.enter(place)?;
        let visible = self.variables.len();
        let value = self.pipeline(&branches.pipeline, dot)?;
        let flow = match (value.truth(), is_with) {
            (true, true) => self.body(&branches.then, &value)?,
            (true, false) => self.body(&branches.then, dot)?,
            (false, _) => self.body(&branches.otherwise, dot)?,
        };
        self.variables.truncate(visible);
        self.budget.leave();
        Ok(flow)
    }

    fn range(&mut self, branches: &'a Branches, dot: &Value<'a>) -> Result<Flow, TemplateError> {
        let place = branches.pipeline.place;
        self.budget.enter(place)?;
        let visible = self.variables.len();
        let over = self.pipeline(&branches.pipeline, dot)?;
        let ran = match &over {
            Value::Missing | Value::Null => false,
            Value::Integer(end) => self.count_to(branches, *end, Value::Integer)?,
            Value::Byte(end) => {
                let byte = |n| Value::Byte(u8::try_from(n).unwrap_or(u8::MAX));
                self.count_to(branches, i64::from(*end), byte)?
            }
            Value::List(items) => {
                let items = items.iter().enumerate();
                self.each(
                    branches,
                    items.map(|(i, item)| (Value::count(i), Value::of(item))),
                )?
            }
            Value::Object(members) => {
                let members = members.iter();
                let text = |key: &'a String| Value::Text(key.as_bytes().into());
                self.each(
                    branches,
                    members.map(|(key, value)| (text(key), Value::of(value))),
                )?
            }
            other => {
                let message = format!("range can't iterate over a {}", other.type_name());
                return Err(place.error(TemplateErrorKind::Data, message));
            }
        };
        let flow = match ran {
            true => Flow::Through,
            false => self.body(&branches.otherwise, dot)?,
        };
        self.variables.truncate(visible);
        self.budget.leave();
        Ok(flow)
    }

    fn count_to(
        &mut self,
        branches: &'a Branches,
        end: i64,
        value: impl Fn(i64) -> Value<'a>,
    ) -> Result<bool, TemplateError> {
        if branches.pipeline.variables.len() > 1 {
            let message = "can't use a number to iterate over more than one variable";
            return Err(branches
                .pipeline
                .place
                .error(TemplateErrorKind::Data, message));
        }
        self.each(branches, (0..end).map(|n| (Value::Missing, value(n))))
    }

    // Whether there was anything.
    fn each(
        &mut self,
        branches: &'a Branches,
        items: impl Iterator<Item = (Value<'a>, Value<'a>)>,
    ) -> Result<bool, TemplateError> {
        let Branches { pipeline, then, .. } = branches;
        let visible = self.variables.len();
        let mut ran = false;
        for (index, item) in items {
            ran = true;
            self.budget.spend(1, pipeline.place)?;
            match pipeline.variables.as_slice() {
                [] => {}
                [one] => self.assign(pipeline, one, item.clone(), visible - 1)?,
                [first, second, ..] => {
                    self.assign(pipeline, first, index, visible - 2.min(visible))?;
                    self.assign(pipeline, second, item.clone(), visible - 1)?;
                }
            }
            let flow = self.body(then, &item)?;
            self.variables.truncate(visible);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    fn call(&mut self, name: &str, dot: Value<'a>, place: Place) -> Result<(), TemplateError> {
        let Some(nodes) = self.template.definitions.get(name) else {
            let message = format!("template {name:?} not defined");
            return Err(place.error(TemplateErrorKind::Data, message));
        };
        self.budget.enter(place)?;
        self.budget.spend(1, place)?;
        let callers = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        self.body(nodes, &dot)?;
        self.variables = callers;
        self.budget.leave();
        Ok(())
    }
}
