//! What the turn loop, the tools and the templates of one run look at.

use ark_plan::Input;

use crate::gate::Gate;
use crate::provider::Models;
use crate::secrets::Secrets;
use crate::steps::Journal;
use crate::tool::Tools;

/// What the parts of one run share.
pub(crate) struct Scene<'r> {
    /// `UID/ROUND`.
    pub(crate) id: &'r str,
    pub(crate) attempt: i32,
    /// W3C traceparent of the Query.
    pub(crate) trace: Option<&'r str>,
    pub(crate) input: &'r Input,
    pub(crate) journal: &'r Journal<'r>,
    pub(crate) gate: &'r Gate,
    pub(crate) models: &'r Models,
    pub(crate) tools: &'r Tools,
    pub(crate) secrets: &'r Secrets,
}
