//! Header overrides of Agent and Query, matched and merged for the agent's model.

use std::collections::BTreeMap;

use ark_api::labels::Selector;
use ark_api::{Model, Override};
use kube::ResourceExt;

use super::value::Use;
use super::{Owner, Resolver, Stop, configuration};
use crate::Parameter;

impl Resolver<'_> {
    /// The Agent's headers first; the Query's win by name, whatever the case.
    pub(super) fn model_headers(
        &mut self,
        agent: &Owner,
        overrides: &[Override],
        model: &Model,
    ) -> Result<Vec<Parameter>, Stop> {
        let query = Owner::of("Query", self.query);
        let of_agent = self.matching(agent, overrides, model, Use::Credential);
        let of_query = self.matching(&query, &self.query.spec.overrides, model, Use::Prompt);
        let mut merged = BTreeMap::new();
        for header in of_agent?.into_iter().chain(of_query?) {
            merged.insert(header.name.to_ascii_lowercase(), header);
        }
        Ok(merged.into_values().collect())
    }

    fn matching(
        &mut self,
        owner: &Owner,
        overrides: &[Override],
        model: &Model,
        use_: Use,
    ) -> Result<Vec<Parameter>, Stop> {
        let mut headers = Vec::new();
        if model.namespace().unwrap_or_default() != owner.namespace {
            return Ok(headers);
        }
        for (i, override_) in overrides.iter().enumerate() {
            let field = format!("spec.overrides[{i}]");
            if override_.resource_type == "model" && selects(owner, &field, override_, model)? {
                let field = format!("{field}.headers");
                headers.extend(self.headers(owner, &field, &override_.headers, use_)?);
            }
        }
        Ok(headers)
    }
}

fn selects(owner: &Owner, field: &str, override_: &Override, model: &Model) -> Result<bool, Stop> {
    let Some(selector) = &override_.label_selector else {
        return Ok(true);
    };
    let selector = Selector::try_from(selector);
    let selector = selector
        .map_err(|error| configuration(format!("{owner}: {field}.labelSelector: {error}")))?;
    Ok(selector.matches(model.labels()))
}
