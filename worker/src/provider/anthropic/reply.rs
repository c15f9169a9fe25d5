//! The events of a streamed message, put together. Pure.

use serde_json::{Map, Value};

use super::event::{Block, Delta, Event, Message, RawUsage};
use crate::failure::Failure;
use crate::provider::classify;
use crate::provider::exchange::{bad_reply, cut, filtered};
use crate::provider::{Finish, Reply, ToolCall};

/// One reply while it arrives.
pub(in crate::provider) struct Assembly<'a> {
    path: &'a str,
    /// Whether the message has begun.
    started: bool,
    thoughts: Vec<Thought>,
    text: String,
    calls: Vec<PartialCall>,
    stop_reason: Option<String>,
    usage: RawUsage,
    model: Option<String>,
}

#[derive(Default)]
struct PartialCall {
    index: u64,
    id: String,
    name: String,
    /// Where the whole input came at once.
    input: Option<Value>,
    /// Fragments of the input's JSON.
    json: String,
}

/// A block that is given back to the model as it was.
struct Thought {
    index: u64,
    block: Map<String, Value>,
}

impl<'a> Assembly<'a> {
    /// `path` names calls to which the server gave no id.
    pub(in crate::provider) fn new(path: &'a str) -> Self {
        Self {
            path,
            started: false,
            thoughts: Vec::new(),
            text: String::new(),
            calls: Vec::new(),
            stop_reason: None,
            usage: RawUsage::default(),
            model: None,
        }
    }

    /// Whether the first token has arrived.
    pub(in crate::provider) fn answering(&self) -> bool {
        !self.thoughts.is_empty()
            || !self.text.is_empty()
            || !self.calls.is_empty()
            || self.stop_reason.is_some()
    }

    /// Takes the data of one event, or a whole reply that was not streamed; true after the end mark.
    pub(in crate::provider) fn push(&mut self, data: &[u8]) -> Result<bool, Failure> {
        let clean = ark_api::json::replace_lone_surrogates(data);
        let event: Event = serde_json::from_slice(&clean).map_err(|error| {
            let raw = String::from_utf8_lossy(&data[..data.len().min(2048)]);
            tracing::debug!(path = self.path, %error, %raw, "a reply cannot be read");
            bad_reply("is not an event of the Messages API")
        })?;
        match event {
            Event::MessageStart { message } | Event::Message(message) => self.message(message),
            Event::ContentBlockStart {
                index,
                content_block,
            } => self.block(index, content_block),
            Event::ContentBlockDelta { index, delta } => self.delta(index, delta),
            Event::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.usage.update(usage);
            }
            Event::MessageStop => return Ok(true),
            Event::Error { error } => return Err(classify::error_object(&error)),
            Event::Other => {}
        }
        Ok(false)
    }

    fn message(&mut self, message: Message) {
        self.started = true;
        self.model = message.model.filter(|model| !model.is_empty());
        self.stop_reason = message.stop_reason;
        self.usage.update(message.usage);
        for (index, block) in (0..).zip(message.content.into_iter().flatten()) {
            self.block(index, block);
        }
    }

    fn block(&mut self, index: u64, block: Block) {
        match block {
            Block::Text { text } => self.text.push_str(&text),
            Block::ToolUse { id, name, input } => self.calls.push(PartialCall {
                index,
                id,
                name,
                // A stream begins each call with an empty object, and its fragments follow.
                input: Some(input).filter(|input| input.as_object().is_some_and(|o| !o.is_empty())),
                json: String::new(),
            }),
            Block::Thinking {
                thinking,
                signature,
            } => {
                let members = [("thinking", thinking), ("signature", signature)];
                self.thoughts.push(Thought::new(index, "thinking", members));
            }
            Block::RedactedThinking { data } => {
                let thought = Thought::new(index, "redacted_thinking", [("data", data)]);
                self.thoughts.push(thought);
            }
            Block::Other => {}
        }
    }

    fn delta(&mut self, index: u64, delta: Delta) {
        match delta {
            Delta::Text { text } => self.text.push_str(&text),
            Delta::InputJson { partial_json } => {
                let call = self.calls.iter_mut().find(|call| call.index == index);
                if let Some(call) = call {
                    call.json.push_str(&partial_json);
                }
            }
            Delta::Thinking { thinking } => self.think(index, "thinking", &thinking),
            Delta::Signature { signature } => self.think(index, "signature", &signature),
            Delta::Other => {}
        }
    }

    fn think(&mut self, index: u64, member: &str, more: &str) {
        let thought = self.thoughts.iter_mut().find(|one| one.index == index);
        if let Some(Value::String(text)) = thought.and_then(|one| one.block.get_mut(member)) {
            text.push_str(more);
        }
    }

    /// The reply, when the stream has ended; `marked`: by its own end mark and not by a closed connection.
    pub(in crate::provider) fn finish(self, marked: bool) -> Result<Reply, Failure> {
        if !self.started {
            return Err(bad_reply("holds no answer"));
        }
        let finish = match self.stop_reason.as_deref() {
            None if !marked => return Err(cut()),
            Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
            Some("refusal") => Finish::Refusal,
            _ if !self.calls.is_empty() => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        if self.calls.iter().any(|call| call.name.is_empty()) {
            return Err(bad_reply("calls a tool without a name"));
        }
        if self.text.is_empty() && finish == Finish::Refusal {
            return Err(filtered());
        }
        // Ids may not hold a dot in this protocol.
        let path = self.path.replace(['.', '/'], "_");
        let calls = self.calls.into_iter().zip(1..);
        Ok(Reply {
            text: Some(self.text).filter(|text| !text.is_empty()),
            tool_calls: calls
                .map(|(call, number)| call.complete(|| format!("{path}-call_{number}")))
                .collect(),
            thoughts: self.thoughts.into_iter().map(Thought::into_json).collect(),
            finish,
            usage: self.usage.normalised(),
            model: self.model,
        })
    }
}

impl Thought {
    fn new<const N: usize>(index: u64, kind: &str, members: [(&str, String); N]) -> Self {
        let kind = std::iter::once(("type".to_owned(), kind.into()));
        let members = members.map(|(name, text)| (name.to_owned(), text.into()));
        let block = kind.chain(members).collect();
        Self { index, block }
    }

    fn into_json(self) -> Value {
        Value::Object(self.block)
    }
}

impl PartialCall {
    fn complete(self, id: impl FnOnce() -> String) -> ToolCall {
        let arguments = match (self.json.is_empty(), self.input) {
            (false, _) => self.json,
            (true, Some(input)) => input.to_string(),
            (true, None) => "{}".to_owned(),
        };
        let id = Some(self.id).filter(|id| !id.is_empty()).unwrap_or_else(id);
        ToolCall::function(id, self.name, arguments)
    }
}

#[cfg(test)]
mod tests {
    use ark_plan::{Class, Usage};
    use serde_json::json;

    use super::*;

    const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",
        "model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":20,
        "cache_read_input_tokens":100,"output_tokens":1}}}"#;
    const TEXT: &str =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    const HEL: &str =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#;
    const LO: &str =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#;
    const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#;
    const STOP: &str = r#"{"type":"message_stop"}"#;

    /// The reply, and whether its end mark was seen.
    fn assembled(events: &[&str]) -> Result<Reply, Failure> {
        let mut assembly = Assembly::new("turn.1");
        let mut marked = false;
        for event in events {
            marked = assembly.push(event.as_bytes())?;
        }
        assembly.finish(marked)
    }

    #[test]
    fn text_and_usage() {
        let ping = r#"{"type":"ping"}"#;
        let new = r#"{"type":"something_new","index":0}"#;
        let reply = assembled(&[START, ping, TEXT, HEL, new, LO, END, STOP]).unwrap();
        assert_eq!(reply.text.as_deref(), Some("Hello"));
        assert_eq!(reply.model.as_deref(), Some("claude-x"));
        assert_eq!(reply.finish, Finish::Stop);
        let usage = Usage {
            prompt_tokens: 125,
            completion_tokens: 7,
            total_tokens: 132,
            cached_tokens: 100,
        };
        assert_eq!(reply.usage, usage);
    }

    #[test]
    fn parallel_calls_beside_thoughts_and_text() {
        let reply = assembled(&[
            START,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"redacted_thinking","data":"x"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"","name":"g","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            STOP,
        ])
        .unwrap();
        assert_eq!(
            reply.tool_calls,
            [
                ToolCall::function("toolu_1".into(), "f".into(), r#"{"x":1}"#.into()),
                ToolCall::function("turn_1-call_2".into(), "g".into(), "{}".into()),
            ]
        );
        assert_eq!(reply.finish, Finish::ToolCalls);
        assert_eq!(
            reply.thoughts,
            [
                json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"}),
                json!({"type": "redacted_thinking", "data": "x"}),
            ]
        );
    }

    #[test]
    fn a_whole_message_is_read_too() {
        let whole = r#"{"type":"message","model":"m","stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":2},
            "content":[{"type":"text","text":"Hi"},{"type":"tool_use","id":"t","name":"f","input":{"x":1}}]}"#;
        let mut assembly = Assembly::new("turn.1");
        assembly.push(whole.as_bytes()).unwrap();
        let reply = assembly.finish(true).unwrap();
        assert_eq!(reply.text.as_deref(), Some("Hi"));
        assert_eq!(reply.tool_calls[0].function.arguments, r#"{"x":1}"#);
        assert_eq!(reply.finish, Finish::Length);
    }

    #[test]
    fn what_is_cut_refused_or_no_message_is_no_answer() {
        let class = |events: &[&str]| assembled(events).unwrap_err().class;
        assert_eq!(class(&[START, TEXT, HEL]), Class::Ambiguous);
        assert_eq!(class(&[]), Class::BadReply);
        assert_eq!(class(&["<html>"]), Class::BadReply);
        let error =
            |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
        assert_eq!(
            class(&[START, HEL, &error("overloaded_error")]),
            Class::Capacity
        );
        assert_eq!(class(&[START, &error("api_error")]), Class::Ambiguous);
        assert_eq!(
            class(&[START, &error("invalid_request_error")]),
            Class::Rejected
        );
        let refusal = r#"{"type":"message_delta","delta":{"stop_reason":"refusal"}}"#;
        assert_eq!(class(&[START, refusal, STOP]), Class::Rejected);
        assert_eq!(
            assembled(&[START, TEXT, HEL, END]).unwrap().text.as_deref(),
            Some("Hel")
        );
    }
}
