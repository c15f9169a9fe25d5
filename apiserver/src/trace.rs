//! Writes of Queries as spans: each belongs to its Query's trace, which the create begins.

use tracing::{Span, field, info_span};
use uuid::Uuid;

use crate::front::request::Request;
use crate::front::route::{Route, Target};

/// The span of a request that writes a Query; of any other, none.
pub(crate) fn write(request: &Request, route: &Route) -> Span {
    let Route::Objects(target) = route else {
        return Span::none();
    };
    let is_query = target
        .resource
        .ark()
        .is_some_and(|kind| kind.kind == "Query");
    if !is_query || !request.is_mutating() {
        return Span::none();
    }
    info_span!(
        "write",
        otel.name = name(request, target),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = %request.method,
        http.response.status_code = field::Empty,
        ark.query.namespace = target.namespace,
        ark.query.name = target.name,
    )
}

/// `patch queries/status`
fn name(request: &Request, target: &Target) -> String {
    let verb = request.verb(target.name.is_empty());
    let plural = &target.resource.plural;
    match target.subresource.as_str() {
        "" => format!("{verb} {plural}"),
        subresource => format!("{verb} {plural}/{subresource}"),
    }
}

/// Makes the request's span part of the trace of the Query with that uid: below the span that the client names, if that
/// is of the same trace.
pub(crate) fn join(request: &Request, uid: Uuid) {
    if request.span.is_none() {
        return;
    }
    let own = ark_api::trace::traceparent(uid);
    let given = request
        .headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let trace = |parent: &str| parent.split('-').nth(1).map(str::to_owned);
    let parent = given.filter(|given| trace(given) == trace(&own));
    ark_store::trace::join(&request.span, parent.unwrap_or(&own));
}

/// Notes how the request was answered.
pub(crate) fn answered(request: &Request, code: u16) {
    request.span.record("http.response.status_code", code);
    if code >= 500 {
        request.span.record("otel.status_code", "ERROR");
    }
}
