//! Tools of type `http`: one request per call.

use std::time::Duration;

use ark_plan::{Class, ToolCall, ToolPlan};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method};
use serde_json::{Map, Value};
use url::Url;

use super::ToolResult;
use super::arguments::fill_placeholders;
use crate::failure::Failure;
use crate::headers;
use crate::prompt;
use crate::scene::Scene;
use crate::trace;

const MAX_BODY_BYTES: usize = 10_000_000;
const MAX_ERROR_CHARS: usize = 1_000;
const MAX_REDIRECTS: usize = 5;

/// Two clients, because a redirect to another host must not carry a tool's own headers along.
pub(super) struct Clients {
    /// Follows redirects to other hosts; for tools without headers.
    open: Client,
    /// Follows redirects on the same host only.
    bound: Client,
}

impl Clients {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let client = |policy| {
            Client::builder()
                .connect_timeout(Duration::from_secs(5))
                .redirect(policy)
                .retry(reqwest::retry::never())
                .user_agent(concat!("ark-worker/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        Ok(Self {
            open: client(Policy::custom(|attempt| redirect(attempt, true)))?,
            bound: client(Policy::custom(|attempt| redirect(attempt, false)))?,
        })
    }
}

fn redirect(attempt: Attempt<'_>, other_hosts: bool) -> reqwest::redirect::Action {
    match attempt
        .previous()
        .last()
        .map(|from| may_follow(from, attempt.url(), other_hosts))
    {
        Some(Err(why)) => attempt.error(why),
        _ if attempt.previous().len() > MAX_REDIRECTS => {
            attempt.error("there are too many redirects")
        }
        _ => attempt.follow(),
    }
}

fn may_follow(from: &Url, to: &Url, other_hosts: bool) -> Result<(), &'static str> {
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err("a redirect from https to http is not followed");
    }
    if !other_hosts
        && (from.host(), from.port_or_known_default()) != (to.host(), to.port_or_known_default())
    {
        return Err("a redirect to another host is not followed, because the Tool has headers");
    }
    Ok(())
}

/// A request that is ready to be sent; may hold credentials, therefore no `Debug`.
pub(super) struct Prepared {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
    timeout: Duration,
    bound: bool,
}

/// Builds the request; the inner error is for the model, the outer one ends the run.
pub(super) async fn prepare(
    scene: &Scene<'_>,
    path: &str,
    tool: &ToolPlan,
    arguments: &Map<String, Value>,
) -> Result<Result<Prepared, String>, Failure> {
    let ToolCall::Http {
        url,
        method,
        headers,
        timeout_ms,
        body,
        body_parameters,
    } = &tool.call
    else {
        return Err(misconfigured(tool, "it is not an http tool"));
    };
    let method = Method::from_bytes(method.to_uppercase().as_bytes())
        .map_err(|_| misconfigured(tool, "its method is not an HTTP method"))?;
    let url = match Url::parse(&fill_placeholders(url, arguments)) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        Ok(_) => {
            return Err(misconfigured(
                tool,
                "its url must begin with https:// or http://",
            ));
        }
        Err(error) => {
            return Ok(Err(format!(
                "the address is not a URL with these arguments: {error}"
            )));
        }
    };
    let mut all = headers::resolve(&owner(tool), headers, scene.input, scene.secrets).await?;
    let bound = !all.is_empty();
    let trace = trace::outgoing(scene.trace).unwrap_or_default();
    for (name, value) in [
        ("x-ark-execution", scene.id),
        ("x-ark-path", path),
        ("traceparent", &trace),
    ] {
        if let Ok(value) = HeaderValue::try_from(value)
            && !value.is_empty()
        {
            all.insert(name, value);
        }
    }
    let body = if body.is_empty() || !matches!(method, Method::POST | Method::PUT | Method::PATCH) {
        None
    } else {
        let mut data = prompt::values(scene, body_parameters).await?;
        data.insert("input".to_owned(), Value::Object(arguments.clone()));
        Some(prompt::fill(
            &format!("the body of Tool {}", tool.name),
            body,
            data,
            &mut Vec::new(),
        )?)
    };
    let timeout = Duration::from_millis(*timeout_ms);
    Ok(Ok(Prepared {
        method,
        url,
        headers: all,
        body,
        timeout,
        bound,
    }))
}

/// Sends it once. Whatever goes wrong is the tool's result.
pub(super) async fn send(clients: &Clients, prepared: Prepared) -> ToolResult {
    let Prepared {
        method,
        url,
        headers,
        body,
        timeout,
        bound,
    } = prepared;
    let client = if bound { &clients.bound } else { &clients.open };
    let mut request = client
        .request(method, url)
        .headers(headers)
        .timeout(timeout);
    if let Some(body) = body {
        request = request.body(body);
    }
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return ToolResult::Error(reason(error, timeout)),
    };
    let status = response.status();
    let mut bytes = Vec::new();
    let mut cut = false;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_BODY_BYTES - bytes.len();
                cut = chunk.len() > room;
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if cut {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return ToolResult::Error(reason(error, timeout)),
        }
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if status.is_client_error() || status.is_server_error() {
        let short: String = text.chars().take(MAX_ERROR_CHARS).collect();
        return ToolResult::Error(format!("HTTP {}: {short}", status.as_u16()));
    }
    if cut {
        text.push_str("\n[cut: the response is longer than 10 MB]");
    }
    ToolResult::Text(text)
}

/// What went wrong, without the address, which may hold a credential.
fn reason(error: reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!(
            "the request was not answered within {} s",
            timeout.as_secs_f64()
        );
    }
    let error = error.without_url();
    let mut text = format!("the request failed: {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn misconfigured(tool: &ToolPlan, why: &str) -> Failure {
    Failure::new(Class::Configuration, format!("{}: {why}.", owner(tool)))
}

fn owner(tool: &ToolPlan) -> String {
    format!("Tool {}/{}", tool.namespace, tool.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(from: &str, to: &str, other_hosts: bool) -> bool {
        may_follow(
            &Url::parse(from).unwrap(),
            &Url::parse(to).unwrap(),
            other_hosts,
        )
        .is_ok()
    }

    #[test]
    fn redirects_never_carry_headers_to_another_host_nor_leave_https() {
        assert!(allowed("http://a/x", "https://a/y", true));
        assert!(allowed("https://a/x", "https://b/y", true));
        assert!(!allowed("https://a/x", "http://a/y", true));
        assert!(allowed("https://a/x", "https://a:443/y", false));
        assert!(!allowed("https://a/x", "https://b/y", false));
        assert!(!allowed("https://a/x", "https://a:444/y", false));
    }
}
