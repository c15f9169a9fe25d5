//! Resolves a Query into a [`Plan`] and an [`Input`]. Pure, in rounds: what is not yet known is asked for, the caller
//! fetches it and asks again; an agent takes three rounds.

mod agent;
mod model;
mod overrides;
mod schedule;
mod selector;
mod tool;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use ark_api::admission::ModelUrlPolicy;
use ark_api::{Agent, ArkConfig, Model, Query, Team, Tool};
use serde_json::Value;

pub use schedule::{Bounds, PRIORITY, bounds, class};
pub use selector::{SELECTABLE, select, selector};

use crate::template::{self, TemplateErrorKind};
use crate::{Class, Input, Plan, Target};

/// The kinds that planning looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `ark.mckinsey.com` Agent.
    Agent,
    /// `ark.mckinsey.com` Model.
    Model,
    /// `ark.mckinsey.com` Tool.
    Tool,
    /// Core ConfigMap.
    ConfigMap,
    /// Core Secret.
    Secret,
    /// Core Service.
    Service,
    /// `ark.mckinsey.com` Team.
    Team,
    /// `ark.mckinsey.com` ArkConfig, whose namespace is empty.
    ArkConfig,
}

impl Kind {
    /// As objects have it in `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Agent => "Agent",
            Kind::Model => "Model",
            Kind::Tool => "Tool",
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
            Kind::Service => "Service",
            Kind::Team => "Team",
            Kind::ArkConfig => "ArkConfig",
        }
    }
}

/// An object by kind, namespace and name; prints as `Agent default/writer`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Display for ObjectKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What planning needs of an object.
#[derive(Debug, Clone)]
pub enum Object {
    /// An Agent, defaulted.
    Agent(Arc<Agent>),
    /// A Model, defaulted.
    Model(Arc<Model>),
    /// A Tool.
    Tool(Arc<Tool>),
    /// A ConfigMap's data.
    ConfigMap(Arc<BTreeMap<String, String>>),
    /// The keys of a Secret's data; its values are never held here.
    Secret(Arc<BTreeSet<String>>),
    /// Names and numbers of a Service's ports, in order.
    Service(Arc<Vec<(String, u16)>>),
    /// A Team.
    Team(Arc<Team>),
    /// The ArkConfig.
    ArkConfig(Arc<ArkConfig>),
    /// It is there, but cannot be used; one clause says why.
    Unusable(String),
}

/// What was looked up so far; `None` means that the object is not there.
pub type Found = BTreeMap<ObjectKey, Option<Object>>;

/// How strictly to plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Credentials that are missing are only a warning, for a provider that reads none.
    pub lenient_secrets: bool,
    /// Which base URLs a Model may have.
    pub model_url_policy: ModelUrlPolicy,
}

/// One round's answer.
#[derive(Debug)]
pub enum Resolution {
    /// These objects must be looked up first.
    Needs(BTreeSet<ObjectKey>),
    /// All is known and fits.
    Resolved(Box<Resolved>),
    /// The Query cannot be executed as things are.
    Unplannable(Unplannable),
}

/// Everything that one execution needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The frozen target.
    pub plan: Plan,
    /// The Query's own part, with the warnings of planning.
    pub input: Input,
    /// The quota of its model calls; 0 when it makes none.
    pub scope: i64,
    /// Its place among the rows of its namespace, smaller first.
    pub class: i16,
    /// Its deadlines.
    pub bounds: Bounds,
    /// Secrets, as (namespace, name), whose content the Query's author can steer into a prompt or a header: the Query's
    /// service account needs the right to read them.
    pub prompt_secrets: Vec<(String, String)>,
}

/// Why a Query cannot be executed, for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplannable {
    /// Configuration, Template or Unsupported.
    pub class: Class,
    /// Names the object, the field and the remedy.
    pub sentence: String,
}

/// Resolves as far as `found` allows. The Query must have been defaulted and validated, and its [`selector()`] followed.
pub fn resolve(query: &Query, found: &Found, options: Options) -> Resolution {
    let mut resolver = Resolver {
        query,
        found,
        options,
        needs: BTreeSet::new(),
        prompt_secrets: BTreeSet::new(),
        warnings: Vec::new(),
    };
    match resolver.query() {
        Ok(resolved) => Resolution::Resolved(Box::new(resolved)),
        Err(Stop::Unknown) => Resolution::Needs(resolver.needs),
        Err(Stop::Unplannable(why)) => Resolution::Unplannable(why),
    }
}

/// The Query's own part before anything is resolved, enough for the status of a Query that never gets a plan.
pub fn bare_input(query: &Query) -> Input {
    let target = query.spec.target.clone().unwrap_or_default();
    Input {
        target_type: target.type_,
        target_name: target.name,
        text: match &query.spec.input {
            Value::String(text) => text.clone(),
            _ => String::new(),
        },
        parameters: Vec::new(),
        model_headers: Vec::new(),
        conversation_id: query.spec.conversation_id.clone(),
        warnings: Vec::new(),
    }
}

/// Why resolving does not go on.
#[derive(Debug)]
enum Stop {
    /// Something has to be looked up; it is noted in `needs`.
    Unknown,
    Unplannable(Unplannable),
}

fn stop(class: Class, sentence: impl Into<String>) -> Stop {
    Stop::Unplannable(Unplannable {
        class,
        sentence: sentence.into(),
    })
}

fn configuration(sentence: impl Into<String>) -> Stop {
    stop(Class::Configuration, sentence)
}

fn unsupported(sentence: impl Into<String>) -> Stop {
    stop(Class::Unsupported, sentence)
}

struct Resolver<'a> {
    query: &'a Query,
    found: &'a Found,
    options: Options,
    needs: BTreeSet<ObjectKey>,
    prompt_secrets: BTreeSet<(String, String)>,
    warnings: Vec<String>,
}

impl<'a> Resolver<'a> {
    fn query(&mut self) -> Result<Resolved, Stop> {
        let owner = Owner::of("Query", self.query);
        let bounds = bounds(self.query).map_err(Stop::Unplannable)?;
        let class = class(
            schedule::priority(self.query, &mut self.warnings),
            bounds.timeout,
        );
        let mut input = bare_input(self.query);
        let parameters = self.parameters(
            &owner,
            "spec.parameters",
            &self.query.spec.parameters,
            value::Use::Prompt,
        );
        let target = self.target(&owner);
        // Both were tried, so that one round asks for the objects of both.
        input.parameters = parameters?;
        let (target, headers) = target?;
        input.model_headers = headers;
        if !self.query.spec.input.is_string() {
            self.warnings
                .push("spec.input is not a string, so an empty message is sent".to_owned());
        }
        if !input.parameters.is_empty() {
            owner.template("spec.input", &input.text)?;
        }
        if self.query.spec.memory.is_some() {
            self.warnings.push(
                "spec.memory is not supported yet: the answer knows no earlier messages".to_owned(),
            );
        }
        input.warnings = std::mem::take(&mut self.warnings);
        Ok(Resolved {
            scope: scope(&target),
            plan: Plan { target },
            input,
            class,
            bounds,
            prompt_secrets: std::mem::take(&mut self.prompt_secrets)
                .into_iter()
                .collect(),
        })
    }

    fn target(&mut self, owner: &Owner) -> Result<(Target, Vec<crate::Parameter>), Stop> {
        let Some(target) = &self.query.spec.target else {
            return Err(match self.query.spec.selector {
                Some(_) => configuration(format!(
                    "{owner}: spec.selector matches no agent, team, model or tool in namespace {}; label one, or name it \
                     in spec.target",
                    owner.namespace
                )),
                None => configuration(format!(
                    "{owner}: spec.target is missing; name an agent, model or tool"
                )),
            });
        };
        let namespace = &owner.namespace;
        match target.type_.as_str() {
            "agent" => {
                let agent = self.agent_object(owner, "spec.target", namespace, &target.name)?;
                let (plan, headers) = self.agent(&agent)?;
                Ok((Target::Agent(plan), headers))
            }
            "model" => {
                let model = self.model_object(owner, "spec.target", namespace, &target.name)?;
                Ok((Target::Model(self.model(&model)?), Vec::new()))
            }
            "tool" => {
                let tool = self.tool_object(owner, "spec.target", namespace, &target.name)?;
                Ok((Target::Tool(self.tool(&tool)?), Vec::new()))
            }
            "team" => Err(unsupported(format!(
                "{owner}: spec.target names Team {}, and teams are not supported yet; name an agent, model or tool",
                target.name
            ))),
            other => Err(configuration(format!(
                "{owner}: spec.target.type is {other:?}; use agent, model or tool"
            ))),
        }
    }

    /// The object, if it was looked up and is usable.
    fn object(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<&'a Object>, Stop> {
        let key = ObjectKey {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match self.found.get(&key) {
            None => {
                self.needs.insert(key);
                Err(Stop::Unknown)
            }
            Some(None) => Ok(None),
            Some(Some(Object::Unusable(why))) => {
                Err(configuration(format!("{key} cannot be used: {why}")))
            }
            Some(Some(object)) => Ok(Some(object)),
        }
    }
}

// The model whose quota the execution starts with.
fn scope(target: &Target) -> i64 {
    match target {
        Target::Agent(agent) => agent.model.scope,
        Target::Model(model) => model.scope,
        Target::Tool(_) => 0,
    }
}

// Goes through all, so that one round asks for everything; a definite failure wins over what is unknown.
fn all<T>(results: impl IntoIterator<Item = Result<T, Stop>>) -> Result<Vec<T>, Stop> {
    let mut values = Vec::new();
    let mut unknown = false;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(Stop::Unknown) => unknown = true,
            Err(why) => return Err(why),
        }
    }
    if unknown {
        Err(Stop::Unknown)
    } else {
        Ok(values)
    }
}

/// The object whose fields are being resolved; prints as `Agent default/writer`.
struct Owner {
    kind: &'static str,
    namespace: String,
    name: String,
}

impl Display for Owner {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Owner {
    fn of<K: kube::ResourceExt>(kind: &'static str, object: &K) -> Self {
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }

    fn template(&self, field: &str, text: &str) -> Result<(), Stop> {
        let Err(error) = template::parse(text) else {
            return Ok(());
        };
        let class = match error.kind {
            TemplateErrorKind::Unsupported => Class::Unsupported,
            _ => Class::Template,
        };
        Err(stop(
            class,
            format!("{self}: the template in {field} cannot be used, at {error}"),
        ))
    }
}

#[cfg(test)]
mod tests;
