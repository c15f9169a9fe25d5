//! What the provider says: a pure function of its seed and the request.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::arguments;
use super::request::{Request, last_user, text_of, word};

/// How much of the input an answer repeats, in characters.
const QUOTED: usize = 60;

/// More parallel calls than this in one turn are never made.
const MAX_CALLS: usize = 64;

/// One reply of the model: a final text, or tool calls.
pub(super) struct Reply {
    /// Unique to seed and conversation; each dialect has its own prefix.
    pub(super) token: String,
    pub(super) content: Content,
    /// What the reply says it cost; a fault may leave it out.
    pub(super) usage: Option<Usage>,
}

/// What a reply consists of.
pub(super) enum Content {
    Text(String),
    Calls(Vec<Call>),
}

/// One tool call; `arguments` is JSON as text, as OpenAI sends it.
pub(super) struct Call {
    /// Unique to the call; each dialect has its own prefix.
    pub(super) token: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// Token counts, at four characters a token.
#[derive(Clone, Copy)]
pub(super) struct Usage {
    /// The whole prompt, cached or not.
    pub(super) prompt: usize,
    /// The part of the prompt that was read from the cache.
    pub(super) cache_read: usize,
    /// The part of the prompt that was written to the cache.
    pub(super) cache_written: usize,
    pub(super) completion: usize,
}

/// The final text that the provider gives for a conversation.
///
/// It follows from the seed and the text of the last user message alone, so that whoever knows a
/// Query's input can tell its answer; neither the model's name nor earlier messages change it.
/// Only a request for structured output is answered otherwise, by what its schema asks for.
pub fn answer(seed: u64, _model: &str, messages: &Value) -> String {
    let input = last_user(messages).map_or_else(String::new, |(_, text)| text);
    let fingerprint = hex::encode(&digest(&["answer", &seed.to_string(), &input])[..8]);
    let quoted: String = input.chars().take(QUOTED).collect();
    let quoted = quoted.replace(['\n', '\r', '\t'], " ");
    format!("mock answer {fingerprint} to: {}", quoted.trim_end())
}

/// The reply to a request: tool calls in every turn before the one that `turns=N` names, then the answer.
pub(super) fn reply(seed: u64, request: &Request) -> Reply {
    let content = content(seed, request);
    Reply {
        token: token(seed, request, "completion"),
        usage: Some(Usage {
            prompt: prompt_tokens(request),
            cache_read: 0,
            cache_written: 0,
            completion: completion_tokens(&content),
        }),
        content,
    }
}

fn content(seed: u64, request: &Request) -> Content {
    let input = request.input();
    let turns = number(&input, "turns").unwrap_or(1);
    if (request.must_call || request.turn() < turns)
        && let Some(tool) = request.tools.first()
    {
        let calls = number(&input, "calls").unwrap_or(1).clamp(1, MAX_CALLS);
        return Content::Calls(
            (0..calls)
                .map(|index| call(seed, request, tool, index))
                .collect(),
        );
    }
    Content::Text(match &request.output_schema {
        Some(schema) => arguments::build(schema, &format!("{seed}/{input}")).to_string(),
        None => answer(seed, &request.model, &request.messages),
    })
}

fn call(seed: u64, request: &Request, tool: &super::request::Tool, index: usize) -> Call {
    let token = token(seed, request, &format!("call/{index}"));
    Call {
        arguments: tool_arguments(&tool.parameters, &token),
        name: tool.name.clone(),
        token,
    }
}

/// Arguments are always an object, also for a tool that declares no parameters.
fn tool_arguments(parameters: &Value, key: &str) -> String {
    match arguments::build(parameters, key) {
        built @ Value::Object(_) => built.to_string(),
        _ => "{}".to_owned(),
    }
}

fn number(input: &str, name: &str) -> Option<usize> {
    word(input, name)?.parse().ok()
}

/// Twelve bytes in hex that differ by seed, conversation and `purpose`.
fn token(seed: u64, request: &Request, purpose: &str) -> String {
    let digest = digest(&[purpose, &seed.to_string(), &request.prompt_hash]);
    hex::encode(&digest[..12])
}

/// SHA-256 over the parts, each ended by a byte that UTF-8 does not use.
pub(super) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
        hasher.update([0xff]);
    }
    hasher.finalize().into()
}

fn prompt_tokens(request: &Request) -> usize {
    let messages = request.messages.as_array().map_or(&[][..], Vec::as_slice);
    let said: usize = messages.iter().map(message_characters).sum();
    let offered: usize = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.parameters.to_string().len())
        .sum();
    (said + offered).div_ceil(4)
}

fn message_characters(message: &Value) -> usize {
    let calls = message["tool_calls"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let calls: usize = calls
        .iter()
        .map(|call| call["function"].to_string().len())
        .sum();
    text_of(&message["content"]).chars().count() + calls
}

fn completion_tokens(content: &Content) -> usize {
    let characters = match content {
        Content::Text(text) => text.chars().count(),
        Content::Calls(calls) => calls
            .iter()
            .map(|call| call.name.len() + call.arguments.len())
            .sum(),
    };
    characters.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(body: &Value) -> Request {
        Request::parse(body.to_string().as_bytes(), None).unwrap()
    }

    #[test]
    fn the_answer_depends_on_seed_and_last_user_message_only() {
        let short = json!([{"role": "user", "content": "hello"}]);
        let long = json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "before"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "hello"},
        ]);
        assert_eq!(answer(1, "a", &short), answer(1, "b", &long));
        assert_ne!(answer(1, "a", &short), answer(2, "a", &short));
        assert!(answer(1, "a", &short).ends_with(" to: hello"));
    }

    #[test]
    fn two_long_inputs_with_one_beginning_differ_in_their_answers() {
        let input = |end: &str| json!([{"role": "user", "content": "x".repeat(80) + end}]);
        assert_ne!(answer(1, "m", &input("a")), answer(1, "m", &input("b")));
    }

    #[test]
    fn without_tools_the_answer_comes_in_the_first_turn() {
        let reply = reply(
            1,
            &request(&json!({
                "model": "m",
                "messages": [{"role": "user", "content": "turns=3"}],
            })),
        );
        assert!(matches!(reply.content, Content::Text(_)));
    }

    #[test]
    fn parallel_calls_have_their_own_ids_and_arguments() {
        let reply = reply(
            1,
            &request(&json!({
                "model": "m",
                "messages": [{"role": "user", "content": "turns=2 calls=3"}],
                "tools": [{"type": "function", "function": {"name": "look", "parameters": {
                    "type": "object", "required": ["q"], "properties": {"q": {"type": "string"}},
                }}}],
            })),
        );
        let Content::Calls(calls) = reply.content else {
            panic!("the first of two turns calls the tool");
        };
        let ids: std::collections::HashSet<_> = calls.iter().map(|call| &call.token).collect();
        assert_eq!((calls.len(), ids.len()), (3, 3));
        assert!(calls[0].arguments.starts_with("{\"q\":\"mock-"));
    }
}
