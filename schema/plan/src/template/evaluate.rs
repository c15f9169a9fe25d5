//! Evaluates pipelines: fields, variables, and functions with their arguments.

use std::borrow::Cow;

use super::ast::{Constant, Operand, OperandKind, Pipeline};
use super::execute::Execution;
use super::functions::{self, Function};
use super::value::Value;
use super::{Place, TemplateError, TemplateErrorKind};

impl<'a> Execution<'a> {
    /// The value of a pipeline, which its variables take as well.
    pub(super) fn pipeline(
        &mut self,
        pipeline: &'a Pipeline,
        dot: &Value<'a>,
    ) -> Result<Value<'a>, TemplateError> {
        let mut last = None;
        for command in &pipeline.commands {
            let value = self.command(command, dot, last.take())?;
            // Behind a command, a null is as good as nothing.
            last = Some(match value {
                Value::Null => Value::Missing,
                value => value,
            });
        }
        let value = last.unwrap_or(Value::Missing);
        for name in &pipeline.variables {
            match pipeline.assigns {
                true => self.set(name, value.clone(), pipeline.place)?,
                false => self.variables.push((name, value.clone())),
            }
        }
        Ok(value)
    }

    /// Gives a range's variable its value: the one at `at`, if the range declares it.
    pub(super) fn assign(
        &mut self,
        pipeline: &'a Pipeline,
        name: &'a str,
        value: Value<'a>,
        at: usize,
    ) -> Result<(), TemplateError> {
        if pipeline.assigns {
            return self.set(name, value, pipeline.place);
        }
        self.variables[at].1 = value;
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value<'a>, place: Place) -> Result<(), TemplateError> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, variable)) => {
                *variable = value;
                Ok(())
            }
            None => Err(data(place, format!("undefined variable: {name}"))),
        }
    }

    fn command(
        &mut self,
        operands: &'a [Operand],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>, TemplateError> {
        let (first, arguments) = operands.split_first().expect("no command is empty");
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &first.kind {
            OperandKind::Function(function) => {
                self.call_function(*function, arguments, dot, last, first.place)
            }
            OperandKind::Nil => Err(data(first.place, "nil is not a command")),
            OperandKind::Field(path) => self.fields(dot.clone(), path, first.place, has_arguments),
            OperandKind::Variable(name, path) if !path.is_empty() => {
                let variable = self.variable(name, first.place)?;
                self.fields(variable, path, first.place, has_arguments)
            }
            OperandKind::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, path, first.place, has_arguments)
            }
            _ if has_arguments => Err(data(
                first.place,
                "can't give an argument to what is no function",
            )),
            _ => self.operand(first, dot),
        }
    }

    fn operand(
        &mut self,
        operand: &'a Operand,
        dot: &Value<'a>,
    ) -> Result<Value<'a>, TemplateError> {
        let place = operand.place;
        self.budget.spend(0, place)?;
        match &operand.kind {
            OperandKind::Dot => {
                self.copied(dot, place)?;
                Ok(dot.clone())
            }
            OperandKind::Nil => Ok(Value::Null),
            OperandKind::Constant(constant) => Ok(match constant {
                Constant::Bool(value) => Value::Bool(*value),
                Constant::Integer(value) => Value::Integer(*value),
                Constant::Float(value) => Value::Float(*value),
                Constant::Text(text) => Value::Text(Cow::Borrowed(text)),
            }),
            OperandKind::Field(path) => self.fields(dot.clone(), path, place, false),
            OperandKind::Variable(name, path) => {
                let variable = self.variable(name, place)?;
                self.fields(variable, path, place, false)
            }
            OperandKind::Function(function) => self.call_function(*function, &[], dot, None, place),
            OperandKind::Parenthesized(pipeline) => {
                self.budget.enter(place)?;
                let value = self.pipeline(pipeline, dot)?;
                self.budget.leave();
                Ok(value)
            }
            OperandKind::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, path, place, false)
            }
        }
    }

    fn variable(&mut self, name: &str, place: Place) -> Result<Value<'a>, TemplateError> {
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        let Some((_, value)) = found else {
            return Err(data(place, format!("undefined variable: {name}")));
        };
        let value = value.clone();
        self.copied(&value, place)?;
        if value.is_nothing() && name != "$" {
            self.absent.push(name.to_owned());
        }
        Ok(value)
    }

    // Texts that functions made are copied with the value.
    fn copied(&mut self, value: &Value<'a>, place: Place) -> Result<(), TemplateError> {
        match value {
            Value::Text(Cow::Owned(text)) => self.budget.spend(text.len(), place),
            _ => Ok(()),
        }
    }

    // Go tells what is missing, whose fields are missing too, from a null, which has none.
    fn fields(
        &mut self,
        mut value: Value<'a>,
        path: &[String],
        place: Place,
        has_arguments: bool,
    ) -> Result<Value<'a>, TemplateError> {
        for (depth, field) in path.iter().enumerate() {
            value = match value {
                Value::Missing => Value::Missing,
                Value::Object(_) if has_arguments && depth + 1 == path.len() => {
                    let message = format!("{field} is not a method but has arguments");
                    return Err(data(place, message));
                }
                Value::Object(members) => members.get(field).map_or(Value::Missing, Value::of),
                other => {
                    let holder = match depth {
                        0 => "the data".to_owned(),
                        _ => format!(".{}", path[..depth].join(".")),
                    };
                    let message =
                        format!("{holder} is {}, which has no field {field}", kind(&other));
                    return Err(data(place, message));
                }
            };
        }
        if value.is_nothing() && !path.is_empty() {
            self.absent.push(path.join("."));
        }
        Ok(value)
    }

    fn call_function(
        &mut self,
        function: Function,
        arguments: &'a [Operand],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
        place: Place,
    ) -> Result<Value<'a>, TemplateError> {
        let count = arguments.len() + usize::from(last.is_some());
        function
            .check_count(count)
            .map_err(|message| data(place, message))?;
        if let Function::And | Function::Or = function {
            return self.and_or(function, arguments, dot, last);
        }
        let absent = self.absent.len();
        let mut values = Vec::with_capacity(count);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(last);
        self.budget.spend(compared(function, &values), place)?;
        let value = functions::call(function, &values).map_err(|message| {
            data(
                place,
                format!("error calling {}: {message}", function.name()),
            )
        })?;
        if function.expects_nothing() {
            self.absent.truncate(absent);
        }
        if let Value::Text(text) = &value {
            self.budget.output(text.len(), place)?;
            self.budget.spend(text.len(), place)?;
        }
        Ok(value)
    }

    // The only functions that do not evaluate what they need not.
    fn and_or(
        &mut self,
        function: Function,
        arguments: &'a [Operand],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>, TemplateError> {
        let absent = self.absent.len();
        let mut value = Value::Missing;
        for argument in arguments {
            value = self.operand(argument, dot)?;
            if value.truth() == (function == Function::Or) {
                self.absent.truncate(absent);
                return Ok(value);
            }
        }
        let value = last.unwrap_or(value);
        if !value.is_nothing() {
            self.absent.truncate(absent);
        }
        Ok(value)
    }
}

// What is looked at without being written; comparing bytes is much faster than handling them.
fn compared(function: Function, values: &[Value<'_>]) -> usize {
    let bytes = |value: &Value<'_>| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    match function.compares() {
        true => values.iter().map(bytes).sum::<usize>() / 64,
        false => 0,
    }
}

fn data(place: Place, message: impl Into<String>) -> TemplateError {
    place.error(TemplateErrorKind::Data, message)
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Missing => "missing",
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Integer(_) | Value::Byte(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
    }
}
