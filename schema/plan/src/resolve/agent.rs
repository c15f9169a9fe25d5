//! An Agent with its model, tools and header overrides.

use std::sync::Arc;

use ark_api::annotations::{A2A_SERVER_NAME, MAX_TURNS};
use ark_api::{Agent, AgentTool};
use kube::ResourceExt;

use super::value::Use;
use super::{Kind, Object, Owner, Resolver, Stop, all, configuration, unsupported};
use crate::{AgentPlan, Parameter, ToolPlan};

const DEFAULT_MODEL: &str = "default";
const DEFAULT_MAX_TURNS: u32 = 50;

impl Resolver<'_> {
    pub(super) fn agent_object(
        &mut self,
        owner: &Owner,
        field: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Agent>, Stop> {
        match self.object(Kind::Agent, namespace, name)? {
            Some(Object::Agent(agent)) => Ok(agent.clone()),
            _ => Err(configuration(format!(
                "{owner}: {field} names Agent {namespace}/{name}, which does not exist; create it or name another"
            ))),
        }
    }

    /// The plan, and the headers that overrides add to its model calls.
    pub(super) fn agent(&mut self, agent: &Agent) -> Result<(AgentPlan, Vec<Parameter>), Stop> {
        let owner = Owner::of("Agent", agent);
        refuse_engines(&owner, agent)?;
        let max_turns = max_turns(&owner, agent)?;
        let spec = &agent.spec;
        let prompt = spec.prompt.clone().unwrap_or_default();
        let parameters = self.parameters(&owner, "spec.parameters", &spec.parameters, Use::Prompt);
        if !spec.parameters.is_empty() {
            owner.template("spec.prompt", &prompt)?;
        }
        let tools = self.agent_tools(&owner, &spec.tools);
        let reference = spec.model_ref.clone().unwrap_or_default();
        let name = if reference.name.is_empty() {
            DEFAULT_MODEL
        } else {
            &reference.name
        };
        let namespace = reference
            .namespace
            .as_deref()
            .filter(|n| !n.is_empty())
            .unwrap_or(&owner.namespace);
        let object = self.model_object(&owner, "spec.modelRef", namespace, name)?;
        let model = self.model(&object);
        let headers = self.model_headers(&owner, &spec.overrides, &object);
        let plan = AgentPlan {
            parameters: parameters?,
            tools: tools?,
            model: model?,
            namespace: owner.namespace,
            name: owner.name,
            prompt,
            max_turns,
            output_schema: Some(spec.output_schema.clone()).filter(|schema| !schema.is_null()),
        };
        Ok((plan, headers?))
    }

    // Of two entries with one name the later counts, as in Ark's map of tools.
    fn agent_tools(&mut self, owner: &Owner, entries: &[AgentTool]) -> Result<Vec<ToolPlan>, Stop> {
        let resolved = all(entries
            .iter()
            .enumerate()
            .map(|(i, entry)| self.agent_tool(owner, i, entry)))?;
        let mut tools: Vec<ToolPlan> = Vec::with_capacity(resolved.len());
        for tool in resolved {
            match tools.iter_mut().find(|known| known.name == tool.name) {
                Some(known) => *known = tool,
                None => tools.push(tool),
            }
        }
        Ok(tools)
    }
}

fn refuse_engines(owner: &Owner, agent: &Agent) -> Result<(), Stop> {
    let engine = agent
        .spec
        .execution_engine
        .as_ref()
        .map(|engine| engine.name.as_str());
    if engine == Some("a2a") || agent.annotations().contains_key(A2A_SERVER_NAME) {
        return Err(unsupported(format!(
            "{owner} runs on a remote A2A server, which is not supported yet"
        )));
    }
    match engine.filter(|name| !name.is_empty()) {
        Some(name) => Err(unsupported(format!(
            "{owner}: spec.executionEngine names {name}, and other engines are not supported yet; remove the field"
        ))),
        None => Ok(()),
    }
}

fn max_turns(owner: &Owner, agent: &Agent) -> Result<u32, Stop> {
    let Some(text) = agent.annotations().get(MAX_TURNS) else {
        return Ok(DEFAULT_MAX_TURNS);
    };
    match text.parse() {
        Ok(turns @ 1..) => Ok(turns),
        _ => Err(configuration(format!(
            "{owner}: the annotation {MAX_TURNS} is {text:?}; write a whole number above 0, or remove it"
        ))),
    }
}
