//! The pieces of a streamed reply, put together. Lenient where servers deviate: missing ids and indexes, arguments as
//! objects, content as parts, empty finish reasons, `null` for lists. Pure.

use ark_plan::Usage;
use serde_json::Value;

use super::chunk::{CallDelta, Chunk, Delta};
use crate::failure::Failure;
use crate::provider::classify;
use crate::provider::exchange::{bad_reply, cut, filtered};
use crate::provider::{Finish, Reply, ToolCall};

/// One reply while it arrives.
pub(in crate::provider) struct Assembly<'a> {
    path: &'a str,
    text: String,
    refusal: String,
    calls: Vec<PartialCall>,
    finish: Option<String>,
    usage: Usage,
    model: Option<String>,
    /// Whether any choice was seen, even an empty one.
    choices: bool,
    /// Whether the model has begun to think.
    thinking: bool,
}

#[derive(Default)]
struct PartialCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl<'a> Assembly<'a> {
    /// `path` names calls to which the server gave no id.
    pub(in crate::provider) fn new(path: &'a str) -> Self {
        Self {
            path,
            text: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            finish: None,
            usage: Usage::default(),
            model: None,
            choices: false,
            thinking: false,
        }
    }

    /// Whether the first token has arrived.
    pub(in crate::provider) fn answering(&self) -> bool {
        self.thinking
            || !self.text.is_empty()
            || !self.calls.is_empty()
            || !self.refusal.is_empty()
            || self.finish.is_some()
    }

    /// Takes the data of one event, or a whole reply that was not streamed; true after the end mark.
    pub(in crate::provider) fn push(&mut self, data: &[u8]) -> Result<bool, Failure> {
        if data == b"[DONE]" {
            return Ok(true);
        }
        let clean = ark_api::json::replace_lone_surrogates(data);
        let chunk: Chunk = serde_json::from_slice(&clean).map_err(|error| {
            let raw = String::from_utf8_lossy(&data[..data.len().min(2048)]);
            tracing::debug!(path = self.path, %error, %raw, "a reply cannot be read");
            bad_reply("is not a chat completion")
        })?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(classify::error_object(&error));
        }
        self.model = self
            .model
            .take()
            .or(chunk.model.filter(|model| !model.is_empty()));
        if let Some(usage) = chunk.usage {
            self.usage = usage.normalised();
        }
        for choice in chunk.choices.into_iter().flatten().take(1) {
            self.choices = true;
            if let Some(delta) = choice.delta {
                self.delta(delta);
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish = Some(reason);
            }
        }
        Ok(false)
    }

    fn delta(&mut self, delta: Delta) {
        self.thinking |= delta
            .reasoning_content
            .is_some_and(|thoughts| !thoughts.is_null());
        match delta.content {
            Some(Value::String(text)) => self.text.push_str(&text),
            Some(Value::Array(parts)) => {
                for part in parts {
                    self.text
                        .push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                }
            }
            _ => {}
        }
        self.refusal.push_str(&delta.refusal.unwrap_or_default());
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call);
        }
    }

    fn call(&mut self, delta: CallDelta) {
        let id = delta.id.unwrap_or_default();
        let known = match delta.index {
            Some(index) => self.calls.iter().position(|call| call.index == Some(index)),
            // Without an index a new id begins a new call, and anything else continues the last one.
            None if !id.is_empty() => self.calls.iter().position(|call| call.id == id),
            None => self.calls.len().checked_sub(1),
        };
        let position = known.unwrap_or_else(|| {
            self.calls.push(PartialCall {
                index: delta.index,
                ..PartialCall::default()
            });
            self.calls.len() - 1
        });
        let call = &mut self.calls[position];
        if call.id.is_empty() {
            call.id = id;
        }
        let Some(function) = delta.function else {
            return;
        };
        if call.name.is_empty() {
            call.name = function.name.unwrap_or_default();
        }
        match function.arguments {
            Some(Value::String(text)) => call.arguments.push_str(&text),
            Some(Value::Null) | None => {}
            Some(object) => call.arguments.push_str(&object.to_string()),
        }
    }

    /// The reply, when the stream has ended; `marked`: by its own end mark and not by a closed connection.
    pub(in crate::provider) fn finish(self, marked: bool) -> Result<Reply, Failure> {
        if !self.choices {
            return Err(if marked || !self.answering() {
                bad_reply("holds no answer")
            } else {
                cut()
            });
        }
        let finish = match self.finish.as_deref() {
            None if !marked => return Err(cut()),
            Some("length") => Finish::Length,
            Some("content_filter") => Finish::Refusal,
            _ if !self.calls.is_empty() => Finish::ToolCalls,
            _ if self.text.is_empty() && !self.refusal.is_empty() => Finish::Refusal,
            _ => Finish::Stop,
        };
        if self.calls.iter().any(|call| call.name.is_empty()) {
            return Err(bad_reply("calls a tool without a name"));
        }
        let text = if self.text.is_empty() {
            self.refusal
        } else {
            self.text
        };
        if text.is_empty() && finish == Finish::Refusal {
            return Err(filtered());
        }
        let path = self.path;
        let complete = |(number, call): (usize, PartialCall)| {
            let id = match call.id.is_empty() {
                true => format!("{path}-call.{}", number + 1),
                false => call.id,
            };
            ToolCall::function(id, call.name, call.arguments)
        };
        Ok(Reply {
            text: Some(text).filter(|text| !text.is_empty()),
            tool_calls: self.calls.into_iter().enumerate().map(complete).collect(),
            thoughts: Vec::new(),
            finish,
            usage: self.usage,
            model: self.model,
        })
    }
}

#[cfg(test)]
mod tests {
    use ark_plan::Class;

    use super::*;

    fn assembled(chunks: &[&str], marked: bool) -> Result<Reply, Failure> {
        let mut assembly = Assembly::new("turn.1");
        for chunk in chunks {
            assembly.push(chunk.as_bytes())?;
        }
        assembly.finish(marked)
    }

    #[test]
    fn text_and_usage() {
        let reply = assembled(
            &[
                r#"{"choices":[{"delta":{"role":"assistant","content":"Hel"}}],"usage":null}"#,
                r#"{"choices":[{"delta":{"content":"lo"},"finish_reason":""}]}"#,
                r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#,
            ],
            true,
        )
        .unwrap();
        assert_eq!(reply.text.as_deref(), Some("Hello"));
        assert_eq!(
            (reply.usage.total_tokens, reply.usage.cached_tokens),
            (5, 1)
        );
        assert_eq!(reply.finish, Finish::Stop);
    }

    #[test]
    fn tool_calls_arrive_in_fragments_or_whole() {
        let reply = assembled(
            &[
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":{"y":2}}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}]}"#,
            ],
            false,
        )
        .unwrap();
        let calls: Vec<_> = reply
            .tool_calls
            .iter()
            .map(|c| (c.id.as_str(), c.function.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("a", r#"{"x":1}"#), ("b", r#"{"y":2}"#)]);
    }

    #[test]
    fn a_refusal_is_told_apart_from_an_answer() {
        let refusal = r#"{"choices":[{"delta":{"refusal":"I will not."},"finish_reason":"stop"}]}"#;
        let reply = assembled(&[refusal], true).unwrap();
        assert_eq!(reply.text.as_deref(), Some("I will not."));
        assert_eq!(reply.finish, Finish::Refusal);
        let filtered = r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#;
        let class = assembled(&[filtered], true).unwrap_err().class;
        assert_eq!(class, Class::Rejected);
    }

    #[test]
    fn calls_without_index_or_id() {
        let reply = assembled(
            &[r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#],
            true,
        )
        .unwrap();
        assert_eq!(reply.tool_calls[0].id, "turn.1-call.1");
        assert_eq!(reply.finish, Finish::ToolCalls);
    }

    #[test]
    fn a_cut_stream_is_no_answer() {
        let half = r#"{"choices":[{"delta":{"content":"Hel"}}]}"#;
        assert_eq!(
            assembled(&[half], false).unwrap_err().class,
            Class::Ambiguous
        );
        assert_eq!(
            assembled(&[half], true).unwrap().text.as_deref(),
            Some("Hel")
        );
        assert_eq!(assembled(&[], false).unwrap_err().class, Class::BadReply);
    }

    #[test]
    fn garbage_and_errors_inside_the_stream() {
        let garbage = assembled(&["<html>secret"], true).unwrap_err();
        assert_eq!(garbage.class, Class::BadReply);
        assert!(!garbage.sentence.contains("secret"));
        let error = r#"{"error":{"type":"overloaded_error","message":"busy"}}"#;
        assert_eq!(
            assembled(&[error], true).unwrap_err().class,
            Class::Capacity
        );
    }

    #[test]
    fn lone_surrogates_and_nul_are_survived() {
        let reply = assembled(
            &[r#"{"choices":[{"delta":{"content":"a\ud800\u0000"},"finish_reason":"stop"}]}"#],
            true,
        );
        assert_eq!(reply.unwrap().text.as_deref(), Some("a\u{fffd}\0"));
    }
}
