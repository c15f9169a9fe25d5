//! From an HTTP request to the handler of its route, and back to an HTTP response.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tracing::Span;
use uuid::Uuid;

use crate::admit::Part;
use crate::catalog::Rules;
use crate::discovery;
use crate::front::authenticate::{User, authenticate};
use crate::front::options::{ListOptions, Query};
use crate::front::reply::{Body, REQUEST_TIMEOUT, Reply};
use crate::front::request::Request;
use crate::front::route::{Probe, Route, Target};
use crate::front::{health, negotiate};
use crate::metrics::{RequestLabels, VerbLabels};
use crate::server::Server;
use crate::status::{Result, Status};
use crate::trace;
use crate::verbs::{create, delete, read, token, update, watch};

/// Largest body of a request, in bytes.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Answers one request; every failure is an answer, too.
pub(crate) async fn handle(
    server: Arc<Server>,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path());
    let mut request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: Query::parse(parts.uri.query()),
        headers: parts.headers,
        body: Bytes::new(),
        user: User::Nobody,
        span: Span::none(),
    };
    request.span = trace::write(&request, &route);
    let audit_id = audit_id(&request.headers);
    let result = answer(&server, &route, &mut request, body).await;
    let reply = result.unwrap_or_else(|status| {
        log(&request, &status, &audit_id);
        Reply::error(&status)
    });
    trace::answered(&request, reply.code);
    measure(&server, &route, &request, reply.code, started.elapsed());
    let pretty = negotiate::pretty(&request.headers, &request.query) && !request.is_watch();
    let mut response = reply.into_response(pretty, &audit_id);
    if request.method == Method::HEAD {
        // HTTP/2 clients take a body here for a broken stream.
        *response.body_mut() = Body::default();
    }
    Ok(response)
}

/// The id that a front server gave the request, or a new one.
fn audit_id(headers: &HeaderMap) -> String {
    let given = headers
        .get("audit-id")
        .and_then(|value| value.to_str().ok());
    given
        .filter(|id| id.len() <= 64)
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

async fn answer(
    server: &Arc<Server>,
    route: &Route,
    request: &mut Request,
    body: Incoming,
) -> Result<Reply> {
    match route {
        Route::Health(Probe::Live) => return Ok(health::live(&request.query)),
        Route::Health(Probe::Ready) => return Ok(health::ready(server, &request.query).await),
        Route::Version => return Ok(Reply::value(200, &health::version())),
        _ => {}
    }
    request.user = authenticate(server, &request.headers).await?;
    let limit = if request.is_mutating() {
        &server.writes
    } else {
        &server.reads
    };
    let Ok(_permit) = limit.try_acquire() else {
        server.metrics.rejected.inc();
        return Err(Status::too_many_requests());
    };
    let timeout = request
        .query
        .get("timeout")
        .and_then(|text| text.strip_suffix('s')?.parse().ok())
        .map_or(REQUEST_TIMEOUT, Duration::from_secs)
        .clamp(Duration::from_secs(1), REQUEST_TIMEOUT);
    // A watch is only set up within this time; its lines come later.
    let answered = tokio::time::timeout(timeout, async {
        request.body = read_body(body).await?;
        serve(server, route, request).await
    });
    answered.await.unwrap_or_else(|_| {
        Err(Status::timeout(
            "Timeout: request did not complete within the requested timeout",
        ))
    })
}

async fn read_body(body: Incoming) -> Result<Bytes> {
    let collected = Limited::new(body, BODY_LIMIT).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            Status::too_large(BODY_LIMIT)
        } else {
            Status::bad_request(format!("the body of the request broke off: {error}"))
        }
    })
}

async fn serve(server: &Arc<Server>, route: &Route, request: &Request) -> Result<Reply> {
    if let Route::Objects(target) = route {
        return objects(server, request, target).await;
    }
    if request.method != Method::GET {
        return Ok(Reply::no_such_page());
    }
    let aggregated = negotiate::wants_aggregated_discovery(&request.headers);
    Ok(match route {
        Route::CoreVersions if aggregated => server.discovery.core(&request.headers),
        Route::Groups if aggregated => server.discovery.groups(&request.headers),
        Route::CoreVersions => Reply::value(200, &discovery::core_versions()),
        Route::Groups => Reply::value(200, &discovery::groups()),
        Route::Group(name) => Reply::value(200, &discovery::group(name)),
        Route::Resources(of) => Reply::value(200, &discovery::resources(of)),
        Route::OpenApiRoot => server.openapi.root(&request.headers),
        Route::OpenApi(of) => server
            .openapi
            .group_version(of, &request.query, &request.headers),
        _ => Reply::no_such_page(),
    })
}

async fn objects(server: &Arc<Server>, request: &Request, target: &Target) -> Result<Reply> {
    let resource = target.resource;
    let collection = target.name.is_empty();
    let verb = request.verb(collection);
    let named = if verb == "other" { "" } else { verb };
    let unsupported = || Err(Status::method_not_allowed(resource, named));
    let everywhere = resource.namespaced && target.namespace.is_empty();
    if everywhere && request.method != Method::GET {
        return Ok(Reply::no_such_page());
    }
    if resource.is_review() {
        return match verb {
            "create" if collection => create::create(server, request, target).await,
            _ => unsupported(),
        };
    }
    let part = match target.subresource.as_str() {
        "" => Part::Main,
        "token" if matches!(resource.rules, Rules::ServiceAccount) => {
            return match verb {
                "create" => token::create(server, request, target).await,
                _ => unsupported(),
            };
        }
        "status" if resource.has_status() => Part::Status,
        _ => return Err(Status::not_found(resource, &target.name)),
    };
    match verb {
        "watch" => {
            let renderer = request.renderer(resource)?;
            let options = ListOptions::parse(&request.query, true)?;
            watch::watch(server, target, options, renderer).await
        }
        "list" => read::list(server, request, target).await,
        "get" => read::get(server, request, target).await,
        "update" if !collection => update::put(server, request, target, part).await,
        "patch" if !collection => update::patch(server, request, target, part).await,
        "create" if collection => create::create(server, request, target).await,
        "update" | "patch" if resource.ark().is_some() => {
            Err(Status::bad_request("name must be provided"))
        }
        "delete" if target.subresource.is_empty() => delete::delete(server, request, target).await,
        _ => unsupported(),
    }
}

fn log(request: &Request, status: &Status, audit_id: &str) {
    let Request { method, path, .. } = request;
    let code = status.code;
    match &status.internal {
        Some(error) => tracing::warn!(%method, path, code, audit_id, %error, "request failed"),
        // Messages may quote the object, and the object may be a Secret.
        None => {
            tracing::debug!(%method, path, code, audit_id, reason = status.reason, "request refused");
        }
    }
}

fn measure(server: &Server, route: &Route, request: &Request, code: u16, took: Duration) {
    let (resource, collection) = match route {
        Route::Objects(target) => (target.resource.plural.clone(), target.name.is_empty()),
        _ => (String::new(), false),
    };
    let verb = request.verb(collection);
    let labels = RequestLabels {
        verb,
        resource,
        code,
    };
    server.metrics.requests.get_or_create(&labels).inc();
    if verb != "watch" {
        let duration = server.metrics.duration.get_or_create(&VerbLabels { verb });
        duration.observe(took.as_secs_f64());
    }
}
