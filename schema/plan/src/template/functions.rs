//! Go's default functions.

use super::compare;
use super::escape;
use super::format;
use super::printf;
use super::value::Value;

/// A function by its name in templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    Urlquery,
}

const NAMES: [(&str, Function); 19] = [
    ("and", Function::And),
    ("call", Function::Call),
    ("eq", Function::Eq),
    ("ge", Function::Ge),
    ("gt", Function::Gt),
    ("html", Function::Html),
    ("index", Function::Index),
    ("js", Function::Js),
    ("le", Function::Le),
    ("len", Function::Len),
    ("lt", Function::Lt),
    ("ne", Function::Ne),
    ("not", Function::Not),
    ("or", Function::Or),
    ("print", Function::Print),
    ("printf", Function::Printf),
    ("println", Function::Println),
    ("slice", Function::Slice),
    ("urlquery", Function::Urlquery),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, function)| *function)
    }

    pub(super) fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, function)| *function == self);
        found.map_or("", |(name, _)| name)
    }

    pub(super) fn check_count(self, count: usize) -> Result<(), String> {
        let (least, most) = match self {
            Function::Html | Function::Js | Function::Urlquery => (0, usize::MAX),
            Function::Print | Function::Println => (0, usize::MAX),
            Function::And | Function::Or | Function::Eq | Function::Printf => (1, usize::MAX),
            Function::Call | Function::Index | Function::Slice => (1, usize::MAX),
            Function::Len | Function::Not => (1, 1),
            Function::Ge | Function::Gt | Function::Le | Function::Lt | Function::Ne => (2, 2),
        };
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let want = match least == most {
            true => least.to_string(),
            false => format!("at least {least}"),
        };
        let name = self.name();
        Err(format!(
            "wrong number of args for {name}: want {want} got {count}"
        ))
    }

    /// Whether it may have to look at all of its arguments.
    pub(super) fn compares(self) -> bool {
        use Function::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ge | Gt | Le | Lt | Ne)
    }

    /// Whether it is asked about what may be missing, so that nobody need be told.
    pub(super) fn expects_nothing(self) -> bool {
        matches!(self, Function::Not | Function::Eq | Function::Ne)
    }
}

/// Calls a function whose number of arguments is right; `and` and `or` see only what was evaluated for them.
pub(super) fn call<'a>(function: Function, values: &[Value<'a>]) -> Result<Value<'a>, String> {
    use std::cmp::Ordering::{Greater, Less};
    match function {
        Function::And | Function::Or => Ok(values.last().cloned().unwrap_or(Value::Missing)),
        Function::Not => Ok(Value::Bool(!values[0].truth())),
        Function::Eq => compare::equal(&values[0], &values[1..]).map(Value::Bool),
        Function::Ne => compare::equal(&values[0], &values[1..]).map(|equal| Value::Bool(!equal)),
        Function::Lt => order(values).map(|order| Value::Bool(order == Less)),
        Function::Le => order(values).map(|order| Value::Bool(order != Greater)),
        Function::Gt => order(values).map(|order| Value::Bool(order == Greater)),
        Function::Ge => order(values).map(|order| Value::Bool(order != Less)),
        Function::Len => len(&values[0]),
        Function::Index => index(&values[0], &values[1..]),
        Function::Slice => slice(&values[0], &values[1..]),
        Function::Print => Ok(Value::text(format::print(values))),
        Function::Println => Ok(Value::text(format::println(values))),
        Function::Printf => match &values[0] {
            Value::Text(format) => Ok(Value::text(printf::printf(format, &values[1..]))),
            other => Err(format!(
                "wrong type for value; expected string; got {}",
                other.type_name()
            )),
        },
        Function::Html => Ok(Value::text(escape::html(&escape::joined(values)))),
        Function::Js => Ok(Value::text(escape::javascript(&escape::joined(values)))),
        Function::Urlquery => Ok(Value::text(escape::url_query(&escape::joined(values)))),
        // Data holds no functions.
        Function::Call if values[0].is_nothing() => Err("call of nil".to_owned()),
        Function::Call => Err(format!("non-function of type {}", values[0].type_name())),
    }
}

fn order(values: &[Value<'_>]) -> Result<std::cmp::Ordering, String> {
    compare::order(&values[0], &values[1])
}

fn len<'a>(value: &Value<'a>) -> Result<Value<'a>, String> {
    match value {
        Value::Text(text) => Ok(Value::count(text.len())),
        Value::List(items) => Ok(Value::count(items.len())),
        Value::Object(members) => Ok(Value::count(members.len())),
        other => Err(format!("len of type {}", other.type_name())),
    }
}

fn index<'a>(value: &Value<'a>, indexes: &[Value<'a>]) -> Result<Value<'a>, String> {
    if value.is_nothing() {
        return Err("index of untyped nil".to_owned());
    }
    let mut value = value.clone();
    for at in indexes {
        value = match value {
            Value::Missing | Value::Null => return Err("index of nil pointer".to_owned()),
            Value::Text(text) => {
                let position = position(at, text.len())?;
                let byte = text.get(position).ok_or_else(|| out_of_range(position))?;
                Value::Byte(*byte)
            }
            Value::List(items) => {
                let position = position(at, items.len())?;
                let item = items.get(position).ok_or_else(|| out_of_range(position))?;
                Value::of(item)
            }
            Value::Object(members) => match at {
                Value::Text(key) => {
                    let key = std::str::from_utf8(key).ok();
                    let member = key.and_then(|key| members.get(key));
                    member.map_or(Value::Null, Value::of)
                }
                other => {
                    let found = other.type_name();
                    return Err(format!("value has type {found}; should be string"));
                }
            },
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

fn slice<'a>(value: &Value<'a>, indexes: &[Value<'a>]) -> Result<Value<'a>, String> {
    let length = match value {
        Value::Missing | Value::Null => return Err("slice of untyped nil".to_owned()),
        Value::Text(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length)?;
    }
    let [start, end, capacity] = bounds;
    if start > end || end > capacity {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    Ok(match value {
        Value::Text(text) => Value::text(&text[start..end]),
        Value::List(items) => Value::List(&items[start..end]),
        other => other.clone(),
    })
}

fn position(index: &Value<'_>, most: usize) -> Result<usize, String> {
    let index = match index {
        Value::Integer(index) => *index,
        Value::Byte(index) => i64::from(*index),
        Value::Missing | Value::Null => return Err("cannot index slice/array with nil".to_owned()),
        other => {
            let found = other.type_name();
            return Err(format!("cannot index slice/array with type {found}"));
        }
    };
    match usize::try_from(index) {
        Ok(position) if position <= most => Ok(position),
        _ => Err(format!("index out of range: {index}")),
    }
}

fn out_of_range(position: usize) -> String {
    format!("index out of range: {position}")
}
