//! Query: defaults and rules.

use serde_json::{Value, json};

use super::lookup::target_kind;
use super::{Check, Found, make_canonical, object_at, stamp_migration};
use crate::field_error::FieldError;
use crate::query::QuerySpec;

/// How long finished queries are kept when neither they nor the ArkConfig say so.
const DEFAULT_TTL: &str = "720h";

pub(super) fn default(object: &mut Value, found: &Found) {
    migrate_messages(object);
    let Some(spec) = object_at(object, "spec") else {
        return;
    };
    if spec.get("ttl").is_none_or(Value::is_null) {
        let config = found.get("ArkConfig", "", "default");
        let ttl = config.and_then(|c| c["spec"]["queryTTL"].as_str());
        spec.insert("ttl".into(), json!(ttl.unwrap_or(DEFAULT_TTL)));
    }
    make_canonical(spec.get_mut("ttl"));
    make_canonical(spec.get_mut("timeout"));
}

/// Rewrites the removed type `messages`: the last message of the user becomes the input.
fn migrate_messages(object: &mut Value) {
    if object["spec"]["type"] != "messages" {
        return;
    }
    let messages = object["spec"]["input"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let last = messages.iter().rev().find(|m| m["role"] == "user");
    let input = last
        .map(|m| message_text(&m["content"]))
        .unwrap_or_default();
    object["spec"]["type"] = json!("user");
    object["spec"]["input"] = json!(input);
    let text = "spec.type \"messages\" is gone: the last message of the user became the input; \
                use type \"user\" and spec.conversationId";
    stamp_migration(object, "input-type", text.to_owned());
}

/// A message's content, which is a string or a list of parts.
fn message_text(content: &Value) -> String {
    let parts = content.as_array().map_or(&[][..], Vec::as_slice);
    let part = parts
        .iter()
        .find(|p| p["type"] == "text")
        .map(|p| &p["text"]);
    let text = content.as_str().or_else(|| part.and_then(Value::as_str));
    text.unwrap_or_default().to_owned()
}

pub(super) fn validate(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: QuerySpec = check.spec()?;
    match &spec.target {
        Some(target) => match target_kind(&target.type_) {
            Some(kind) => check.require_object(kind, &target.name, "spec.target".into()),
            None => check.error(FieldError::not_supported(
                "spec.target.type",
                &json!(target.type_),
                &["agent", "team", "model", "tool"],
            )),
        },
        None if spec.selector.is_none() => check.error(FieldError::required(
            "spec.target",
            "name who is to answer (type and name), or set spec.selector; the lists \
             spec.targets and spec.selectors of older versions are not read",
        )),
        None => {}
    }
    check.parameters(&spec.parameters, "spec.parameters");
    check.overrides(&spec.overrides, "spec.overrides");
    check.require_positive(spec.timeout.as_deref(), "spec.timeout");
    check.require_positive(spec.ttl.as_deref(), "spec.ttl");
    if !spec.input.is_string() && !spec.input.is_null() {
        check.warn("spec.input is not a string: only text is sent to the target".to_owned());
    }
    Ok(())
}
