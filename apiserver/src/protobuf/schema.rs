//! The messages that are known, read from `kubernetes.proto` at the first use.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::catalog::Resource;

/// A message and its fields.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) label: Label,
    pub(crate) type_: Type,
    pub(crate) merge: Merge,
}

/// What a strategic merge patch does to a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merge {
    Replace,
    /// Values that are not there yet are added.
    Values,
    /// Items of the same value in that field are merged.
    Key(String),
}

/// How often a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// Absent and zero are the same.
    Plain,
    /// Absent and zero differ.
    Optional,
    Repeated,
    /// A map from strings.
    Map,
}

/// The type of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int32,
    Int64,
    Text,
    /// Base64 in JSON.
    Bytes,
    /// RFC 3339 in JSON; with microseconds if true.
    Time(bool),
    /// A number or a string in JSON.
    IntOrString,
    /// Any JSON, in its own text.
    Json,
    /// A list of strings in a message of its own.
    Texts,
    Message(String),
}

static MESSAGES: LazyLock<HashMap<String, Message>> =
    LazyLock::new(|| parse(include_str!("kubernetes.proto")));

/// The message of that name.
pub(crate) fn message(name: &str) -> &'static Message {
    MESSAGES
        .get(name)
        .expect("kubernetes.proto has every message that is named in it and here")
}

/// The message of a kind; none for kinds that only have JSON.
pub(crate) fn of(resource: &Resource) -> Option<&'static Message> {
    if resource.ark().is_some() {
        return None;
    }
    Some(match resource.group.as_str() {
        "events.k8s.io" => message("EventsV1Event"),
        _ => message(&resource.kind),
    })
}

fn parse(text: &str) -> HashMap<String, Message> {
    let mut messages = HashMap::new();
    let mut current: Option<Message> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("message ") {
            current = Some(Message {
                name: name.trim_end_matches(" {").to_owned(),
                fields: Vec::new(),
            });
        } else if line == "}" {
            messages.extend(current.take().map(|m| (m.name.clone(), m)));
        } else if let (Some(message), Some((declaration, number))) =
            (&mut current, line.split_once(" = "))
        {
            message.fields.extend(field(declaration, number));
        }
    }
    messages
}

/// `repeated Type name` and `7; // merge key: name`.
fn field(declaration: &str, rest: &str) -> Option<Field> {
    let (number, comment) = rest.split_once(';')?;
    let (type_, name) = declaration.rsplit_once(' ')?;
    let labels = [
        ("repeated ", "", Label::Repeated),
        ("optional ", "", Label::Optional),
        ("map<string, ", ">", Label::Map),
        ("", "", Label::Plain),
    ];
    let (type_, label) = labels.into_iter().find_map(|(prefix, suffix, label)| {
        let inner = type_.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some((inner, label))
    })?;
    let type_ = match type_ {
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "Time" => Type::Time(false),
        "MicroTime" => Type::Time(true),
        "IntOrString" => Type::IntOrString,
        "FieldsV1" => Type::Json,
        "ExtraValue" => Type::Texts,
        name => Type::Message(name.to_owned()),
    };
    Some(Field {
        name: name.to_owned(),
        number: number.parse().ok()?,
        label,
        type_,
        merge: match comment.trim_start_matches(" // merge ") {
            "values" => Merge::Values,
            other => other
                .strip_prefix("key: ")
                .map_or(Merge::Replace, |key| Merge::Key(key.to_owned())),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn every_line_is_understood_and_every_message_is_there() {
        let text = include_str!("kubernetes.proto");
        let declared = text.lines().filter(|line| line.contains(" = ")).count();
        let fields = MESSAGES.values().flat_map(|m| &m.fields);
        assert_eq!(fields.clone().count(), declared);
        for field in fields {
            if let Type::Message(name) = &field.type_ {
                message(name);
            }
        }
        for resource in catalog::resources() {
            assert_eq!(of(resource).is_none(), resource.ark().is_some());
        }
        let data = &message("Secret").fields[1];
        assert_eq!((data.label, &data.type_), (Label::Map, &Type::Bytes));
    }
}
