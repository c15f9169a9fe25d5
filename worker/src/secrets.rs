//! Values of Secrets, read at the last moment and kept in memory for seconds only.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ark_plan::{Class, Input, Source};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::GetParams;
use kube::core::Request;
use tokio::sync::Mutex;

use crate::api::{self, Refusal};
use crate::failure::Failure;

/// How long a Secret that was read may be used without asking again.
const FRESH: Duration = Duration::from_secs(3);

/// Reads Secrets with the identity of this process.
#[derive(Clone)]
pub(crate) struct Secrets {
    client: Client,
    cache: Arc<Mutex<HashMap<(String, String), Entry>>>,
}

/// One Secret; whoever needs it while it is read waits for the same answer.
type Entry = Arc<Mutex<Option<(Instant, Arc<Secret>)>>>;

/// A resolved value, which may be secret: `Debug` does not show it.
#[derive(Clone, PartialEq)]
pub(crate) struct Revealed(String);

impl Revealed {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl Secrets {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            cache: Arc::default(),
        }
    }

    /// The value of `source` for one execution.
    pub(crate) async fn value(&self, source: &Source, input: &Input) -> Result<Revealed, Failure> {
        let source = match source {
            Source::QueryParameter(name) => {
                let parameter = input
                    .parameters
                    .iter()
                    .find(|parameter| parameter.name == *name);
                &parameter.ok_or_else(|| missing_parameter(name))?.value
            }
            source => source,
        };
        match source {
            Source::Literal(text) => Ok(Revealed(text.clone())),
            Source::Secret {
                namespace,
                name,
                key,
            } => self.read(namespace, name, key).await,
            Source::QueryParameter(name) => Err(missing_parameter(name)),
        }
    }

    async fn read(&self, namespace: &str, name: &str, key: &str) -> Result<Revealed, Failure> {
        let secret = self.secret(namespace, name).await?;
        let bytes = secret
            .data
            .as_ref()
            .and_then(|data| data.get(key))
            .map(|bytes| bytes.0.clone());
        let text = match (
            bytes,
            secret.string_data.as_ref().and_then(|data| data.get(key)),
        ) {
            (Some(bytes), _) => String::from_utf8(bytes)
                .map_err(|_| unusable(namespace, name, key, "is not UTF-8 text")),
            (None, Some(text)) => Ok(text.clone()),
            (None, None) => Err(unusable(
                namespace,
                name,
                key,
                "does not exist; add it to the Secret",
            )),
        };
        Ok(Revealed(text?))
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, Failure> {
        let entry = {
            let mut cache = self.cache.lock().await;
            let unused = |entry: &Entry| {
                entry
                    .try_lock()
                    .is_ok_and(|read| !read.as_ref().is_some_and(is_fresh))
            };
            if cache.len() > 1000 {
                cache.retain(|_, entry| !unused(entry));
            }
            Arc::clone(
                cache
                    .entry((namespace.to_owned(), name.to_owned()))
                    .or_default(),
            )
        };
        let mut read = entry.lock().await;
        if let Some((_, secret)) = read.as_ref().filter(|read| is_fresh(read)) {
            return Ok(Arc::clone(secret));
        }
        *read = None;
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/secrets"))
            .get(name, &GetParams::default())
            .map_err(|_| missing(namespace, name))?;
        let secret: Secret = api::send(&self.client, request)
            .await
            .map_err(|refusal| unreadable(namespace, name, &refusal))?;
        let secret = Arc::new(secret);
        *read = Some((Instant::now(), Arc::clone(&secret)));
        Ok(secret)
    }
}

fn is_fresh(read: &(Instant, Arc<Secret>)) -> bool {
    read.0.elapsed() < FRESH
}

fn unreadable(namespace: &str, name: &str, refusal: &Refusal) -> Failure {
    let (code, missed) = match refusal {
        Refusal::Unavailable(why) => {
            tracing::debug!(namespace, name, why, "a Secret cannot be read");
            return Failure::new(
                Class::Transport,
                format!("The Kubernetes API cannot be reached to read Secret {namespace}/{name}."),
            );
        }
        Refusal::Refused { code, missing, .. } => (*code, missing.as_deref()),
    };
    let why = match code {
        404 if missed == Some(name) => return missing(namespace, name),
        404 => {
            "The Kubernetes API server has no Secrets; give the worker the address of one that has"
        }
        403 => "The worker may not read it; grant its identity `get` on Secrets",
        _ => "The Kubernetes API server refuses the request",
    };
    Failure::new(
        Class::Configuration,
        format!("Secret {namespace}/{name} cannot be read (HTTP {code}). {why}."),
    )
}

fn missing(namespace: &str, name: &str) -> Failure {
    Failure::new(
        Class::Configuration,
        format!("Secret {namespace}/{name} does not exist; create it or correct the reference."),
    )
}

fn unusable(namespace: &str, name: &str, key: &str, why: &str) -> Failure {
    Failure::new(
        Class::Configuration,
        format!("Key {key:?} of Secret {namespace}/{name} {why}."),
    )
}

fn missing_parameter(name: &str) -> Failure {
    Failure::new(
        Class::Configuration,
        format!("The Query has no parameter {name:?} with a value; add it to spec.parameters."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_outage_is_worth_another_attempt() {
        let refused = |code, missing: Option<&str>| {
            let refusal = Refusal::Refused {
                code,
                message: String::new(),
                missing: missing.map(str::to_owned),
            };
            unreadable("n", "s", &refusal)
        };
        for (code, missing) in [(404, Some("s")), (404, None), (403, None), (405, None)] {
            assert_eq!(refused(code, missing).class, Class::Configuration);
        }
        assert!(refused(404, Some("s")).sentence.contains("does not exist"));
        assert!(refused(404, None).sentence.contains("has no Secrets"));
        let outage = unreadable("n", "s", &Refusal::Unavailable("HTTP 502".into()));
        assert!(outage.class.is_retryable());
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", Revealed("sk-123".into())), "[redacted]");
    }
}
