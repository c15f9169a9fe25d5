//! The request: content blocks, marks for the provider's cache, and an output schema as `output_config.format`.

use ark_plan::ToolPlan;
use serde_json::{Map, Value, json};

use crate::provider::{Message, Request, ToolCall};

/// The protocol demands a bound of the answer; Ark's default.
const MAX_TOKENS: u32 = 4096;

/// The request as the protocol has it; `properties` are coerced already and win.
///
/// No temperature is sent without a property of that name: the provider's own default is Ark's, and some models accept
/// none.
pub(in crate::provider) fn body(
    model: &str,
    properties: &Map<String, Value>,
    request: Request<'_>,
) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("max_tokens".into(), MAX_TOKENS.into());
    body.insert("stream".into(), true.into());
    if let Some(system) = system(request.messages) {
        body.insert("system".into(), json!([marked(system)]));
    }
    let mut messages = messages(request.messages);
    if let [.., turn, _] = &mut messages[..] {
        turn.mark();
    }
    body.insert(
        "messages".into(),
        messages.into_iter().map(Turn::into_json).collect(),
    );
    if let [others @ .., last] = request.tools {
        let mut tools: Vec<Value> = others.iter().map(tool).collect();
        tools.push(marked(tool(last)));
        body.insert("tools".into(), tools.into());
    }
    if let Some((_, schema)) = request.output_schema {
        let format = json!({"type": "json_schema", "schema": schema});
        body.insert("output_config".into(), json!({"format": format}));
    }
    for (name, value) in properties {
        merge(&mut body, name, value);
    }
    Value::Object(body)
}

/// Sets a property; of `output_config` it adds members, so that an effort does not take the format away.
fn merge(body: &mut Map<String, Value>, name: &str, value: &Value) {
    match (body.get_mut(name), value) {
        (Some(Value::Object(known)), Value::Object(more)) => {
            for (name, value) in more {
                known.entry(name).or_insert_with(|| value.clone());
            }
        }
        _ => _ = body.insert(name.to_owned(), value.clone()),
    }
}

/// One message of the protocol, in which roles alternate.
struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
}

impl Turn {
    /// Asks the provider to cache the prompt up to here.
    fn mark(&mut self) {
        if let Some(last) = self.blocks.last_mut() {
            *last = marked(last.take());
        }
    }

    fn into_json(self) -> Value {
        json!({"role": self.role, "content": self.blocks})
    }
}

/// All system messages, which stand apart in this protocol, as one block.
fn system(messages: &[Message]) -> Option<Value> {
    let texts: Vec<&str> = messages
        .iter()
        .filter_map(|message| match message {
            Message::System { content } if !content.is_empty() => Some(content.as_str()),
            _ => None,
        })
        .collect();
    (!texts.is_empty()).then(|| text(&texts.join("\n\n")))
}

/// The conversation. Results of parallel calls go back in one message, before anything that the user says then.
fn messages(messages: &[Message]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            Message::System { .. } => continue,
            Message::User { content } => ("user", vec![text(content)]),
            Message::Assistant {
                content,
                tool_calls,
                thoughts,
                ..
            } => ("assistant", said(thoughts, content.as_deref(), tool_calls)),
            Message::Tool {
                tool_call_id,
                content,
            } => ("user", vec![tool_result(tool_call_id, content)]),
        };
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            // The protocol refuses a message without content.
            _ if blocks.is_empty() => {}
            _ => turns.push(Turn { role, blocks }),
        }
    }
    turns
}

/// Thoughts come first: without those before a tool call the protocol refuses its result.
fn said(thoughts: &[Value], content: Option<&str>, calls: &[ToolCall]) -> Vec<Value> {
    let content = content.filter(|content| !content.is_empty()).map(text);
    thoughts
        .iter()
        .cloned()
        .chain(content)
        .chain(calls.iter().map(tool_use))
        .collect()
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn tool_use(call: &ToolCall) -> Value {
    // Arguments that are no object were answered with an error, which tells the model what it wrote.
    let input = serde_json::from_str(&call.function.arguments)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    json!({"type": "tool_use", "id": call.id, "name": call.function.name, "input": input})
}

fn tool_result(id: &str, content: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": content})
}

fn tool(tool: &ToolPlan) -> Value {
    let mut schema = tool.input_schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.entry("type").or_insert_with(|| "object".into());
    }
    let mut value = json!({"name": tool.name, "input_schema": schema});
    if !tool.description.is_empty() {
        value["description"] = tool.description.as_str().into();
    }
    value
}

fn marked(mut block: Value) -> Value {
    // The protocol refuses a mark on a thought, or on a block without text.
    let is_thought = block["type"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("thinking"));
    if block["text"] != "" && !is_thought {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool_plan(name: &str) -> ToolPlan {
        ToolPlan {
            namespace: "n".into(),
            name: name.into(),
            description: "looks".into(),
            input_schema: json!({}),
            preset: Vec::new(),
            filters: Vec::new(),
            repeatable: true,
            call: ark_plan::ToolCall::Noop,
        }
    }

    fn call(id: &str, arguments: &str) -> ToolCall {
        ToolCall::function(id.into(), "look".into(), arguments.into())
    }

    #[test]
    fn the_request_has_the_documented_form() {
        let result = |id: &str| Message::Tool {
            tool_call_id: id.into(),
            content: format!("result {id}"),
        };
        let system = |content: &str| Message::System {
            content: content.into(),
        };
        let messages = [
            system("one"),
            Message::User {
                content: "hi".into(),
            },
            system("two"),
            Message::Assistant {
                content: Some("let me look".into()),
                name: Some("a".into()),
                tool_calls: vec![call("c1", r#"{"x":1}"#), call("c2", "{broken")],
                thoughts: vec![json!({"type": "thinking", "thinking": "hm", "signature": "s"})],
            },
            result("c1"),
            result("c2"),
        ];
        let mark = json!({"type": "ephemeral"});
        let schema = json!({"type": "object"});
        let properties = json!({"max_tokens": 99, "output_config": {"effort": "low"}});
        let request = Request {
            messages: &messages,
            tools: &[tool_plan("look"), tool_plan("find")],
            output_schema: Some(("answer", &schema)),
        };
        assert_eq!(
            body("claude", properties.as_object().unwrap(), request),
            json!({
                "model": "claude", "max_tokens": 99, "stream": true,
                "system": [{"type": "text", "text": "one\n\ntwo", "cache_control": mark}],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                    {"role": "assistant", "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "text", "text": "let me look"},
                        {"type": "tool_use", "id": "c1", "name": "look", "input": {"x": 1}},
                        {"type": "tool_use", "id": "c2", "name": "look", "input": {}, "cache_control": mark},
                    ]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "c1", "content": "result c1"},
                        {"type": "tool_result", "tool_use_id": "c2", "content": "result c2"},
                    ]},
                ],
                "tools": [
                    {"name": "look", "description": "looks", "input_schema": {"type": "object"}},
                    {"name": "find", "description": "looks", "input_schema": {"type": "object"}, "cache_control": mark},
                ],
                "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"},
            })
        );
    }

    #[test]
    fn a_first_question_is_not_marked() {
        let messages = [Message::User {
            content: "hi".into(),
        }];
        let request = Request {
            messages: &messages,
            tools: &[],
            output_schema: None,
        };
        assert_eq!(
            body("claude", &Map::new(), request),
            json!({
                "model": "claude", "max_tokens": 4096, "stream": true,
                "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            })
        );
    }
}
