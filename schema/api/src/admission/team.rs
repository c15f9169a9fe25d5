//! Team: defaults and rules.

use serde_json::{Value, json};

use super::lookup::member_kind;
use super::{Check, stamp_migration};
use crate::field_error::FieldError;
use crate::team::TeamSpec;

pub(super) fn default(object: &mut Value) {
    let name = object["metadata"]["name"].as_str().unwrap_or("").to_owned();
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let has_max_turns = spec.get("maxTurns").is_some_and(|turns| !turns.is_null());
    let strategy = spec.get("strategy").and_then(Value::as_str).unwrap_or("");
    let (suffix, text) = match strategy {
        "round-robin" => {
            spec.insert("strategy".into(), json!("sequential"));
            spec.insert("loops".into(), json!(has_max_turns));
            let how = if has_max_turns {
                "loops: true"
            } else {
                "one pass, as maxTurns is not set"
            };
            let text = format!("strategy round-robin is deprecated; it became sequential, {how}");
            ("round-robin", text)
        }
        "graph" => {
            spec.insert("strategy".into(), json!("sequential"));
            spec.insert("loops".into(), json!(false));
            spec.remove("graph");
            spec.remove("maxTurns");
            let text = "strategy graph is deprecated; it became sequential, in the order of the \
                        members; use selector with graph to keep transitions";
            ("graph", text.to_owned())
        }
        "selector" => {
            let prompt = spec
                .get("selector")
                .and_then(|s| s["selectorPrompt"].as_str());
            if prompt.is_none_or(|p| p.is_empty() || p.contains("select-next-speaker")) {
                return;
            }
            let text = "spec.selector.selectorPrompt does not mention the tool \
                        select-next-speaker, which the selector agent answers with";
            ("selector-prompt", text.to_owned())
        }
        _ => return,
    };
    stamp_migration(object, suffix, format!("team {name:?}: {text}"));
}

pub(super) fn validate(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: TeamSpec = check.spec()?;
    let loops = spec.loops.unwrap_or(false);
    match spec.strategy.as_str() {
        "sequential" if loops && spec.max_turns.is_none() => {
            check.error(FieldError::required(
                "spec.maxTurns",
                "a team that loops needs a bound",
            ));
        }
        "sequential" if !loops && spec.max_turns.is_some() => {
            let detail = "only for teams that loop; set spec.loops: true or remove it";
            check.error(FieldError::forbidden("spec.maxTurns", detail));
        }
        "sequential" | "round-robin" => {}
        "selector" => selector(check, &spec, loops),
        other => check.error(FieldError::not_supported(
            "spec.strategy",
            &json!(other),
            &["sequential", "selector"],
        )),
    }
    members(check, &spec);
    Ok(())
}

fn selector(check: &mut Check<'_>, spec: &TeamSpec, loops: bool) {
    if loops {
        let detail = "not for strategy selector; remove it";
        check.error(FieldError::forbidden("spec.loops", detail));
    }
    let agent = spec.selector.as_ref().and_then(|s| s.agent.as_deref());
    match agent.filter(|agent| !agent.is_empty()) {
        Some(agent) => check.require_object("Agent", agent, "spec.selector.agent".into()),
        None => {
            let detail = "name the agent that chooses the next member";
            check.error(FieldError::required("spec.selector.agent", detail));
        }
    }
    if spec.max_turns.is_none() {
        let detail = "strategy selector needs a bound";
        check.error(FieldError::required("spec.maxTurns", detail));
    }
    let Some(graph) = &spec.graph else { return };
    if graph.edges.is_empty() {
        let detail = "a graph needs at least one edge; remove spec.graph to allow all";
        check.error(FieldError::required("spec.graph.edges", detail));
    }
    for (index, edge) in graph.edges.iter().enumerate() {
        for (end, name) in [("from", &edge.from), ("to", &edge.to)] {
            if !spec.members.iter().any(|member| member.name == *name) {
                let field = format!("spec.graph.edges[{index}].{end}");
                let detail = "names no member of the team";
                check.error(FieldError::invalid(field, &json!(name), detail));
            }
        }
    }
}

fn members(check: &mut Check<'_>, spec: &TeamSpec) {
    for (index, member) in spec.members.iter().enumerate() {
        let path = format!("spec.members[{index}]");
        match member_kind(&member.type_) {
            None => check.error(FieldError::not_supported(
                format!("{path}.type"),
                &json!(member.type_),
                &["agent", "team"],
            )),
            Some("Team") if member.name == check.name() => {
                let detail = "a team cannot be a member of itself";
                check.error(FieldError::invalid(
                    format!("{path}.name"),
                    &json!(member.name),
                    detail,
                ));
            }
            Some(kind) => check.require_object(kind, &member.name, path),
        }
    }
}
