//! A proxy before the API server that authorizes by the rendered roles and bindings, as Kubernetes does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use serde_json::{Value, json};

use crate::system::System;

/// What a request asks for, as Kubernetes authorizes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Attributes {
    verb: &'static str,
    group: String,
    /// With the subresource, as in `queries/status`.
    resource: String,
    namespace: String,
    name: String,
}

impl Attributes {
    /// None for what is not about resources, which everybody may ask for.
    fn of(request: &Request) -> Option<Attributes> {
        let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
        let (group, rest) = match path.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let (resource, name, subresource) = match rest {
            [] => return None,
            [resource] => (*resource, "", None),
            [resource, name] => (*resource, *name, None),
            [resource, name, rest @ ..] => (*resource, *name, Some(rest.join("/"))),
        };
        let watches = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch="));
        let verb = match (request.method(), name) {
            (&Method::GET, _) if watches => "watch",
            (&Method::GET, "") => "list",
            (&Method::GET, _) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, "") => "deletecollection",
            _ => "delete",
        };
        Some(Attributes {
            verb,
            group: group.to_owned(),
            resource: match subresource {
                Some(subresource) => format!("{resource}/{subresource}"),
                None => resource.to_owned(),
            },
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Rules that hold in one namespace, or in all where that is empty.
struct Grant {
    namespace: String,
    rules: Vec<PolicyRule>,
}

impl Grant {
    fn allows(&self, asked: &Attributes) -> bool {
        let lists =
            |of: &Option<Vec<String>>, word: &str| of.iter().flatten().any(|listed| listed == word);
        let here = self.namespace.is_empty() || self.namespace == asked.namespace;
        here && self.rules.iter().any(|rule| {
            let names = rule.resource_names.as_ref();
            rule.verbs.iter().any(|verb| verb == asked.verb)
                && lists(&rule.api_groups, &asked.group)
                && lists(&rule.resources, &asked.resource)
                && names.is_none_or(|names| names.contains(&asked.name))
        })
    }
}

/// All that the rendered bindings give to a service account.
fn grants(objects: &[Value], account: &str) -> Vec<Grant> {
    let bindings = objects.iter().filter(|object| {
        let subjects = object["subjects"].as_array();
        subjects.is_some_and(|subjects| subjects.iter().any(|subject| subject["name"] == account))
    });
    bindings
        .map(|binding| {
            let namespace = &binding["metadata"]["namespace"];
            let role = objects.iter().find(|object| {
                object["kind"] == binding["roleRef"]["kind"]
                    && object["metadata"]["name"] == binding["roleRef"]["name"]
                    && &object["metadata"]["namespace"] == namespace
            });
            Grant {
                namespace: namespace.as_str().unwrap_or_default().to_owned(),
                rules: serde_json::from_value(role.unwrap()["rules"].clone()).unwrap(),
            }
        })
        .collect()
}

/// An API server for one service account.
pub struct Proxy {
    server: Client,
    grants: Vec<Grant>,
    used: Mutex<BTreeSet<(&'static str, String)>>,
    refused: Mutex<BTreeSet<Attributes>>,
}

impl Proxy {
    /// Serves, and writes a kubeconfig for it.
    pub async fn start(system: &System, objects: &[Value], account: &str) -> (Arc<Proxy>, PathBuf) {
        let proxy = Arc::new(Proxy {
            server: system.client.clone(),
            grants: grants(objects, account),
            used: Mutex::default(),
            refused: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": server}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": account}}],
            "users": [{"name": account, "user": {}}],
        });
        let file = system.folder.path().join(format!("{account}.kubeconfig"));
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        (proxy, file)
    }
}

impl Proxy {
    /// Nothing was refused, and nothing is granted that was not used, but for `rare`.
    pub fn assert_exact(&self, rare: &[(&'static str, &str)]) {
        assert_eq!(*self.refused.lock().unwrap(), BTreeSet::new());
        let rules = self.grants.iter().flat_map(|grant| &grant.rules);
        let granted: BTreeSet<(String, String)> = rules
            .flat_map(|rule| {
                let resources = rule.resources.iter().flatten();
                resources.flat_map(|resource| {
                    let verbs = rule.verbs.iter();
                    verbs.map(|verb| (verb.clone(), resource.clone()))
                })
            })
            .collect();
        let mut used: BTreeSet<(String, String)> = rare
            .iter()
            .map(|(verb, resource)| ((*verb).to_owned(), (*resource).to_owned()))
            .collect();
        let seen = self.used.lock().unwrap();
        used.extend(
            seen.iter()
                .map(|(verb, of)| ((*verb).to_owned(), of.clone())),
        );
        assert_eq!(granted, used);
    }
}

/// Passes on what the service account may do, and answers 403 to the rest.
async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    if let Some(asked) = Attributes::of(&request) {
        if !proxy.grants.iter().any(|grant| grant.allows(&asked)) {
            proxy.refused.lock().unwrap().insert(asked);
            return StatusCode::FORBIDDEN.into_response();
        }
        let used = (asked.verb, asked.resource);
        proxy.used.lock().unwrap().insert(used);
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut onward = http::Request::new(kube::client::Body::from(body));
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = parts.uri;
    for name in [header::ACCEPT, header::CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            onward.headers_mut().insert(name, value.clone());
        }
    }
    match proxy.server.send(onward).await {
        Ok(answer) => answer.map(Body::new),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
