//! Tool: rules.

use serde_json::{Value, json};
use url::Url;

use super::Check;
use crate::field_error::FieldError;
use crate::shared::NameReference;
use crate::structural::member;
use crate::tool::{HttpTool, McpTool, ToolSpec};

const TYPES: [&str; 5] = ["http", "mcp", "agent", "team", "builtin"];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
const JSON_TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "object", "array", "null",
];

/// The functions that Tools of type builtin can stand for.
const BUILTINS: [&str; 2] = ["noop", "terminate"];

pub(super) fn validate(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: ToolSpec = check.spec()?;
    if !spec.input_schema.is_null() {
        input_schema(check, &spec.input_schema, "spec.inputSchema");
    }
    match spec.type_.as_str() {
        "http" => http(check, &required(spec.http, "http")?),
        "mcp" => mcp(check, &required(spec.mcp, "mcp")?),
        "agent" => named(check, spec.agent, "agent"),
        "team" => named(check, spec.team, "team"),
        // Ark dispatches on the object's own name, not on spec.builtin.name.
        "builtin" if !BUILTINS.contains(&check.name()) => check.error(FieldError::not_supported(
            "metadata.name",
            &json!(check.name()),
            &BUILTINS,
        )),
        "builtin" => {}
        other => check.error(FieldError::not_supported(
            "spec.type",
            &json!(other),
            &TYPES,
        )),
    }
    Ok(())
}

fn required<Block>(block: Option<Block>, type_: &str) -> Result<Block, FieldError> {
    let detail = format!("the settings of a tool of type {type_:?}");
    block.ok_or_else(|| FieldError::required(format!("spec.{type_}"), &detail))
}

fn http(check: &mut Check<'_>, http: &HttpTool) {
    let url = json!(http.url);
    if http.url.is_empty() {
        check.error(FieldError::required("spec.http.url", "the URL to call"));
    } else if let Err(error) = Url::parse(&http.url) {
        let detail = format!("is not a URL ({error}); write it like https://host/{{argument}}");
        check.error(FieldError::invalid("spec.http.url", &url, &detail));
    }
    let method = http.method.as_deref().unwrap_or("GET");
    if !METHODS.contains(&method) {
        check.error(FieldError::not_supported(
            "spec.http.method",
            &json!(method),
            &METHODS,
        ));
    }
}

fn mcp(check: &mut Check<'_>, mcp: &McpTool) {
    if mcp.mcp_server_ref.name.is_empty() {
        let field = "spec.mcp.mcpServerRef.name";
        check.error(FieldError::required(field, "name the MCPServer"));
    }
    if mcp.tool_name.is_empty() {
        check.error(FieldError::required(
            "spec.mcp.toolName",
            "the tool's name on the server",
        ));
    }
}

fn named(check: &mut Check<'_>, reference: Option<NameReference>, type_: &str) {
    if reference.is_none_or(|r| r.name.is_empty()) {
        let detail = format!("name the {type_} that answers");
        check.error(FieldError::required(format!("spec.{type_}.name"), &detail));
    }
}

/// Checks as much of a JSON Schema as Ark does: types, and the properties of objects.
fn input_schema(check: &mut Check<'_>, schema: &Value, path: &str) {
    if schema.is_boolean() {
        return;
    }
    let Some(object) = schema.as_object() else {
        let detail = "a JSON Schema is an object";
        check.error(FieldError::invalid(path, schema, detail));
        return;
    };
    let types = match object.get("type") {
        None => &[][..],
        Some(Value::Array(types)) => types.as_slice(),
        Some(type_) => std::slice::from_ref(type_),
    };
    for type_ in types {
        if !type_.as_str().is_some_and(|t| JSON_TYPES.contains(&t)) {
            let field = format!("{path}.type");
            check.error(FieldError::not_supported(field, type_, &JSON_TYPES));
        }
    }
    let Some(properties) = object.get("properties") else {
        return;
    };
    let path = format!("{path}.properties");
    let Some(properties) = properties.as_object() else {
        check.error(FieldError::invalid(
            path,
            properties,
            "maps names to schemas",
        ));
        return;
    };
    if !types.iter().any(|t| t == "object") {
        return;
    }
    for (name, schema) in properties {
        if name.trim().is_empty() {
            check.error(FieldError::invalid(
                &path,
                &json!(name),
                "a property needs a name",
            ));
        }
        input_schema(check, schema, &member(&path, name));
    }
}
