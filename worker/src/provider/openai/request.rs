//! The request: messages, tools and the output schema go over nearly as they are.

use ark_plan::ToolPlan;
use async_openai::types::chat::{
    ChatCompletionStreamOptions, ChatCompletionTool, ChatCompletionTools, FunctionObject,
    ResponseFormat, ResponseFormatJsonSchema,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::provider::{Message, Request};

/// The request as the protocol has it; `properties` are coerced already. No temperature is sent without a property of
/// that name: the provider's own default is 1, too, and some models accept none.
pub(in crate::provider) fn body(
    model: &str,
    properties: &Map<String, Value>,
    request: Request<'_>,
) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert(
        "messages".into(),
        request.messages.iter().map(message).collect(),
    );
    body.insert("stream".into(), true.into());
    let options = ChatCompletionStreamOptions {
        include_usage: Some(true),
        include_obfuscation: None,
    };
    body.insert("stream_options".into(), plain(&options));
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    if let Some((name, schema)) = request.output_schema {
        body.insert("response_format".into(), response_format(name, schema));
    }
    for (name, value) in properties {
        body.insert(name.clone(), value.clone());
    }
    Value::Object(body)
}

fn message(message: &Message) -> Value {
    let mut value = plain(message);
    if let (
        Message::Assistant {
            content: None,
            tool_calls,
            ..
        },
        Some(object),
    ) = (message, value.as_object_mut())
        && tool_calls.is_empty()
    {
        object.insert("content".into(), "".into());
    }
    value
}

fn tool(tool: &ToolPlan) -> Value {
    plain(&ChatCompletionTools::Function(ChatCompletionTool {
        function: FunctionObject {
            name: tool.name.clone(),
            description: Some(tool.description.clone()).filter(|text| !text.is_empty()),
            parameters: Some(tool.input_schema.clone()),
            strict: None,
        },
    }))
}

fn response_format(name: &str, schema: &Value) -> Value {
    plain(&ResponseFormat::JsonSchema {
        json_schema: ResponseFormatJsonSchema {
            description: None,
            name: name.to_owned(),
            schema: schema.clone(),
            strict: Some(true),
        },
    })
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("requests are plain data")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_request_has_the_documented_form() {
        let tool = ToolPlan {
            namespace: "n".into(),
            name: "look".into(),
            description: String::new(),
            input_schema: json!({"type": "object"}),
            preset: Vec::new(),
            filters: Vec::new(),
            repeatable: true,
            call: ark_plan::ToolCall::Noop,
        };
        let messages = [
            Message::User {
                content: "hi".into(),
            },
            Message::Assistant {
                content: None,
                name: None,
                tool_calls: Vec::new(),
                thoughts: Vec::new(),
            },
        ];
        let schema = json!({"type": "object"});
        let request = Request {
            messages: &messages,
            tools: &[tool],
            output_schema: Some(("answer", &schema)),
        };
        assert_eq!(
            body("m", &Map::new(), request),
            json!({
                "model": "m", "stream": true, "stream_options": {"include_usage": true},
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}],
                "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
                "response_format": {"type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
            })
        );
    }
}
