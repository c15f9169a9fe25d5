//! A chat request in one form for both dialects, and reading OpenAI's: leniently, because clients differ.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A request for a reply, reduced to what decides it.
pub(super) struct Request {
    pub(super) model: String,
    /// In OpenAI's form, whatever the dialect.
    pub(super) messages: Value,
    pub(super) tools: Vec<Tool>,
    /// Whether the client insists on a call of one of the tools.
    pub(super) must_call: bool,
    /// The JSON schema of `response_format`, when the client asked for structured output.
    pub(super) output_schema: Option<Value>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// The client's bound of the answer, which a limit of tokens reserves.
    pub(super) max_tokens: Option<usize>,
    /// The beginnings of the prompt that the client wants cached, the shortest first.
    pub(super) cache_marks: Vec<CacheMark>,
    pub(super) prompt_hash: String,
}

/// A beginning of the prompt that is to be cached.
pub(super) struct CacheMark {
    pub(super) hash: [u8; 32],
    pub(super) tokens: usize,
}

/// A tool that the client offers to the model.
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) parameters: Value,
}

impl Request {
    /// Reads a request body; Azure names the model in the path, as `deployment`.
    ///
    /// The error is the sentence that OpenAI's error object carries as its message.
    pub(super) fn parse(body: &[u8], deployment: Option<String>) -> Result<Self, String> {
        let mut body: Value = serde_json::from_slice(body).map_err(|error| {
            format!("We could not parse the JSON body of your request: {error}")
        })?;
        let messages = body["messages"].take();
        if messages.as_array().is_none_or(Vec::is_empty) {
            return Err("'messages' must be an array of at least one message.".to_owned());
        }
        let model = deployment.or_else(|| body["model"].as_str().map(str::to_owned));
        Ok(Self {
            model: model.ok_or("you must provide a model parameter")?,
            prompt_hash: prompt_hash(&messages),
            messages,
            tools: offered_tools(&body),
            must_call: body["tool_choice"] == "required" || body["tool_choice"].is_object(),
            output_schema: body.pointer("/response_format/json_schema/schema").cloned(),
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            max_tokens: ["max_completion_tokens", "max_tokens"]
                .iter()
                .find_map(|name| usize::try_from(body[*name].as_u64()?).ok()),
            cache_marks: Vec::new(),
        })
    }

    /// The text of the latest user message, where turns, calls and faults are asked for.
    pub(super) fn input(&self) -> String {
        last_user(&self.messages).map_or_else(String::new, |(_, text)| text)
    }

    /// Which turn of the current conversation round this request asks for, from 1.
    pub(super) fn turn(&self) -> usize {
        let messages = self.messages.as_array().map_or(&[][..], Vec::as_slice);
        let after = last_user(&self.messages).map_or(0, |(index, _)| index + 1);
        let replies = messages[after..]
            .iter()
            .filter(|message| message["role"] == "assistant");
        1 + replies.count()
    }
}

/// The hash that the log knows a conversation by: SHA-256, in hex, of its `messages` as compact JSON with sorted keys.
pub fn prompt_hash(messages: &Value) -> String {
    hex::encode(Sha256::digest(messages.to_string()))
}

/// The position and text of the last message with the role `user`.
pub(super) fn last_user(messages: &Value) -> Option<(usize, String)> {
    let messages = messages.as_array()?;
    let index = messages
        .iter()
        .rposition(|message| message["role"] == "user")?;
    Some((index, text_of(&messages[index]["content"])))
}

/// The text of a message's content, which is a string or a list of parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn offered_tools(body: &Value) -> Vec<Tool> {
    if body["tool_choice"] == "none" {
        return Vec::new();
    }
    let tools = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let chosen = body.pointer("/tool_choice/function/name");
    tools
        .iter()
        .filter(|tool| chosen.is_none_or(|chosen| *chosen == tool["function"]["name"]))
        .filter_map(|tool| {
            let function = &tool["function"];
            Some(Tool {
                name: function["name"].as_str()?.to_owned(),
                parameters: function["parameters"].clone(),
            })
        })
        .collect()
}

/// The value of the word `name=value` in an input, if it is there.
pub(super) fn word<'a>(input: &'a str, name: &str) -> Option<&'a str> {
    input
        .split(|c: char| !(c.is_ascii_alphanumeric() || "=*@-_".contains(c)))
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_found_beside_punctuation_and_not_inside_other_words() {
        assert_eq!(word("please (turns=3, fault=429*2).", "turns"), Some("3"));
        assert_eq!(
            word("please (turns=3, fault=429*2).", "fault"),
            Some("429*2")
        );
        assert_eq!(word("returns=3", "turns"), None);
    }

    #[test]
    fn turns_count_the_replies_since_the_last_user_message() {
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "done"},
            {"role": "user", "content": [{"type": "text", "text": "second"}]},
            {"role": "assistant", "tool_calls": []},
            {"role": "tool", "content": "42"},
        ]});
        let request = Request::parse(body.to_string().as_bytes(), None).unwrap();
        assert_eq!((request.turn(), request.input().as_str()), (2, "second"));
    }

    #[test]
    fn a_request_without_messages_is_refused_with_a_sentence() {
        let refused = Request::parse(br#"{"model":"m","messages":[]}"#, None);
        assert!(refused.is_err_and(|message| message.contains("'messages'")));
    }
}
