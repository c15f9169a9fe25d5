//! A Tool as it is offered to a model, or called directly.

use std::sync::Arc;

use ark_api::{AgentTool, HttpTool, Tool, ToolFunction};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::value::Use;
use super::{Kind, Object, Owner, Resolver, Stop, configuration, unsupported};
use crate::{Parameter, Source, ToolCall, ToolPlan};

const DEFAULT_TIMEOUT_MS: u64 = 30_000;

impl Resolver<'_> {
    pub(super) fn tool_object(
        &mut self,
        owner: &Owner,
        field: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Tool>, Stop> {
        match self.object(Kind::Tool, namespace, name)? {
            Some(Object::Tool(tool)) => Ok(tool.clone()),
            _ => Err(configuration(format!(
                "{owner}: {field} names Tool {namespace}/{name}, which does not exist; create it or name another"
            ))),
        }
    }

    /// The tool as it is, without what an Agent may add.
    pub(super) fn tool(&mut self, tool: &Tool) -> Result<ToolPlan, Stop> {
        let owner = Owner::of("Tool", tool);
        let call = self.call(&owner, tool)?;
        let schema = &tool.spec.input_schema;
        Ok(ToolPlan {
            description: tool
                .spec
                .description
                .clone()
                .or_else(|| tool.annotations().get("description").cloned())
                .unwrap_or_default(),
            input_schema: if schema.is_null() {
                default_schema(&call)
            } else {
                schema.clone()
            },
            preset: Vec::new(),
            filters: Vec::new(),
            repeatable: is_repeatable(tool, &call),
            call,
            namespace: owner.namespace,
            name: owner.name,
        })
    }

    pub(super) fn agent_tool(
        &mut self,
        owner: &Owner,
        index: usize,
        entry: &AgentTool,
    ) -> Result<ToolPlan, Stop> {
        let field = format!("spec.tools[{index}]");
        let Some(name) = entry.tool_name() else {
            return Err(configuration(format!("{owner}: {field}.name is missing")));
        };
        if entry
            .approval
            .as_ref()
            .is_some_and(|approval| approval.required == Some(true))
        {
            return Err(unsupported(format!(
                "{owner}: {field} ({name}) asks a human for approval, which is not supported yet; remove the rule"
            )));
        }
        let mut plan = match entry.type_.as_str() {
            "built-in" => built_in(owner, &field, name)?,
            _ => {
                let tool = self.tool_object(owner, &field, &owner.namespace, name)?;
                self.tool(&tool)?
            }
        };
        if let Some(description) = entry.description.as_ref().filter(|d| !d.is_empty()) {
            plan.description.clone_from(description);
        }
        if let Some(partial) = &entry.partial {
            let field = format!("{field}.partial.parameters");
            plan.preset = self.parameters(owner, &field, &partial.parameters, Use::Prompt)?;
            for (i, preset) in plan.preset.iter().enumerate() {
                if let Source::Literal(text) = &preset.value {
                    owner.template(&format!("{field}[{i}] ({})", preset.name), text)?;
                }
            }
            hide(&mut plan.input_schema, &plan.preset);
        }
        for function in entry
            .functions
            .iter()
            .filter(|function| function.name == "jq")
        {
            plan.filters.push(self.filter(owner, &field, function)?);
        }
        Ok(plan)
    }

    fn filter(
        &mut self,
        owner: &Owner,
        field: &str,
        function: &ToolFunction,
    ) -> Result<String, Stop> {
        let field = format!("{field}.functions (jq)");
        let from = function.value_from.as_ref();
        match self.source(
            owner,
            &field,
            function.value.as_deref(),
            from,
            Use::Credential,
        )? {
            Source::Literal(filter) => Ok(filter),
            _ => Err(configuration(format!(
                "{owner}: {field} must be a value or come from a ConfigMap"
            ))),
        }
    }

    fn call(&mut self, owner: &Owner, tool: &Tool) -> Result<ToolCall, Stop> {
        match tool.spec.type_.as_str() {
            "http" => match &tool.spec.http {
                Some(http) => self.http(owner, http),
                None => Err(configuration(format!(
                    "{owner}: spec.http is missing; spec.type is \"http\""
                ))),
            },
            "builtin" => builtin(&owner.name).ok_or_else(|| {
                configuration(format!(
                    "{owner}: a Tool of type builtin must be named noop or terminate"
                ))
            }),
            other @ ("mcp" | "agent" | "team") => Err(unsupported(format!(
                "{owner}: tools of type {other} are not supported yet; use http or builtin"
            ))),
            other => Err(configuration(format!(
                "{owner}: spec.type is {other:?}; use http or builtin"
            ))),
        }
    }

    fn http(&mut self, owner: &Owner, http: &HttpTool) -> Result<ToolCall, Stop> {
        let body = http.body.clone().unwrap_or_default();
        owner.template("spec.http.body", &body)?;
        let headers = self.headers(owner, "spec.http.headers", &http.headers, Use::Credential);
        let parameters = self.parameters(
            owner,
            "spec.http.bodyParameters",
            &http.body_parameters,
            Use::Credential,
        );
        let method = http
            .method
            .as_deref()
            .filter(|method| !method.is_empty())
            .unwrap_or("GET");
        Ok(ToolCall::Http {
            url: http.url.clone(),
            method: method.to_ascii_uppercase(),
            headers: headers?,
            timeout_ms: timeout_ms(http.timeout.as_deref()),
            body,
            body_parameters: parameters?,
        })
    }
}

// Ark takes what it cannot read as its default.
fn timeout_ms(text: Option<&str>) -> u64 {
    let Some(text) = text else {
        return DEFAULT_TIMEOUT_MS;
    };
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().filter(|seconds| *seconds > 0);
    seconds.map_or(DEFAULT_TIMEOUT_MS, |seconds| {
        seconds.saturating_mul(unit * 1000)
    })
}

fn is_repeatable(tool: &Tool, call: &ToolCall) -> bool {
    let hints = tool.spec.annotations.as_ref();
    let declared =
        hints.is_some_and(|h| h.read_only_hint == Some(true) || h.idempotent_hint == Some(true));
    declared || !matches!(call, ToolCall::Http { method, .. } if method != "GET")
}

fn builtin(name: &str) -> Option<ToolCall> {
    match name {
        "noop" => Some(ToolCall::Noop),
        "terminate" => Some(ToolCall::Terminate),
        _ => None,
    }
}

fn built_in(owner: &Owner, field: &str, name: &str) -> Result<ToolPlan, Stop> {
    let Some(call) = builtin(name) else {
        return Err(configuration(format!(
            "{owner}: {field} is built-in and must be named noop or terminate, not {name:?}"
        )));
    };
    let description = match call {
        ToolCall::Terminate => "Ends the work with a final response.",
        _ => "Does nothing and returns its arguments.",
    };
    Ok(ToolPlan {
        namespace: owner.namespace.clone(),
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: default_schema(&call),
        preset: Vec::new(),
        filters: Vec::new(),
        repeatable: true,
        call,
    })
}

fn default_schema(call: &ToolCall) -> Value {
    match call {
        ToolCall::Terminate => json!({
            "type": "object",
            "properties": {"response": {"type": "string", "description": "The final response."}},
            "required": ["response"],
        }),
        _ => json!({"type": "object", "properties": {}}),
    }
}

fn hide(schema: &mut Value, preset: &[Parameter]) {
    let is_preset = |name: &str| preset.iter().any(|parameter| parameter.name == name);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !is_preset(name));
    }
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else {
        return;
    };
    required.retain(|name| !name.as_str().is_some_and(is_preset));
    if required.is_empty() {
        schema
            .as_object_mut()
            .expect("it has a member")
            .remove("required");
    }
}
