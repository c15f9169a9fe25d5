//! Agent: defaults and rules.

use serde_json::{Value, json};

use super::{Check, make_canonical, object_at, stamp_migration};
use crate::agent::{AgentSpec, AgentTool};
use crate::annotations::A2A_SERVER_NAME;
use crate::field_error::FieldError;

const TOOL_TYPES: [&str; 6] = ["built-in", "mcp", "http", "agent", "team", "builtin"];

/// The functions that need no Tool object.
const BUILT_INS: [&str; 2] = ["noop", "terminate"];

pub(super) fn default(object: &mut Value) {
    let remote = object["metadata"]["annotations"]
        .get(A2A_SERVER_NAME)
        .is_some();
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let Some(spec) = object_at(object, "spec") else {
        return;
    };
    if spec.get("modelRef").is_none_or(Value::is_null) && !remote {
        spec.insert("modelRef".into(), json!({ "name": "default" }));
    }
    let tools = spec.get_mut("tools").and_then(Value::as_array_mut);
    let mut custom = None;
    for tool in tools.into_iter().flatten() {
        if tool["type"] == "custom" && custom.is_none() {
            custom = Some(tool["name"].as_str().unwrap_or("").to_owned());
        }
        make_canonical(tool.get_mut("approval").and_then(|a| a.get_mut("timeout")));
    }
    if let Some(tool) = custom {
        let text = format!(
            "agent {name:?}: tool {tool:?} has the deprecated type \"custom\"; give the type of \
             the Tool itself (mcp, http, agent, team or builtin)"
        );
        stamp_migration(object, "tool-type-custom", text);
    }
}

pub(super) fn validate(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: AgentSpec = check.spec()?;
    check.parameters(&spec.parameters, "spec.parameters");
    check.overrides(&spec.overrides, "spec.overrides");
    for (index, tool) in spec.tools.iter().enumerate() {
        validate_tool(check, tool, &format!("spec.tools[{index}]"));
    }
    Ok(())
}

fn validate_tool(check: &mut Check<'_>, tool: &AgentTool, path: &str) {
    let type_ = tool.type_.as_str();
    if type_ != "custom" && !TOOL_TYPES.contains(&type_) {
        let field = format!("{path}.type");
        check.error(FieldError::not_supported(field, &json!(type_), &TOOL_TYPES));
        return;
    }
    let name = tool.name.as_deref().unwrap_or("");
    if name.is_empty() {
        let detail = format!("a tool of type {type_:?} needs the name of its Tool");
        check.error(FieldError::required(format!("{path}.name"), &detail));
    } else if type_ == "built-in" && !BUILT_INS.contains(&name) {
        let field = format!("{path}.name");
        check.error(FieldError::not_supported(field, &json!(name), &BUILT_INS));
    }
    // Built-in functions are never held for approval, so their rule is not checked either.
    let Some(approval) = tool.approval.as_ref().filter(|_| type_ != "built-in") else {
        return;
    };
    check.require_positive(
        approval.timeout.as_deref(),
        &format!("{path}.approval.timeout"),
    );
    let policy = approval.on_timeout.as_deref().unwrap_or("");
    if !["", "reject", "proceed"].contains(&policy) {
        check.error(FieldError::not_supported(
            format!("{path}.approval.onTimeout"),
            &json!(policy),
            &["reject", "proceed"],
        ));
    }
}
