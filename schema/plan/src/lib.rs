//! The three nouns that carry a Query: what it resolves to ([`Plan`]), what belongs to one execution ([`Input`]) and how
//! it ended ([`Outcome`]). Pure: look-ups are passed in, nothing here does I/O.

mod outcome;
mod plan;
pub mod resolve;
pub mod status;
pub mod template;

pub use outcome::{Class, Outcome, Phase, Usage};
pub use plan::{
    AgentPlan, FORMAT, Input, Limits, ModelPlan, Parameter, Plan, Source, Target, ToolCall,
    ToolPlan, hash, scope,
};
