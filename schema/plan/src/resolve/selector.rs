//! The target of a Query that describes it by labels instead of naming it.

use ark_api::labels::Selector;
use ark_api::{Query, QueryTarget};

use super::{Kind, Owner, Unplannable};
use crate::Class;

/// Where a selector looks, in this order; the first object of the first kind that has any is the target.
pub const SELECTABLE: [Kind; 4] = [Kind::Agent, Kind::Team, Kind::Model, Kind::Tool];

/// What a Query's target must match, in its own namespace; none when it names a target, which then counts.
pub fn selector(query: &Query) -> Result<Option<Selector>, Unplannable> {
    let (None, Some(selector)) = (&query.spec.target, &query.spec.selector) else {
        return Ok(None);
    };
    let selector = Selector::try_from(selector);
    selector.map(Some).map_err(|error| Unplannable {
        class: Class::Configuration,
        sentence: format!("{}: spec.selector: {error}", Owner::of("Query", query)),
    })
}

/// Makes what its selector found a Query's target. Where nothing was found, [`resolve`](super::resolve) says so.
pub fn select(query: &mut Query, kind: Kind, name: &str) {
    let type_ = match kind {
        Kind::Agent => "agent",
        Kind::Team => "team",
        Kind::Model => "model",
        _ => "tool",
    };
    query.spec.target = Some(QueryTarget {
        type_: type_.to_owned(),
        name: name.to_owned(),
    });
}
