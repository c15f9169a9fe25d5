//! Finds the target of a Query that describes it by labels.

use std::time::Instant;

use ark_api::Query;
use ark_plan::Class;
use ark_plan::resolve::{self, Kind, SELECTABLE, Unplannable};
use kube::core::Request;
use kube::core::params::ListParams;

use crate::api::{Answer, Unavailable, send};
use crate::fetch::{plural, url_path};
use crate::metrics::{KindLabel, Metrics};
use crate::readings::Readings;

const PAGE: u32 = 100;

/// Objects of one kind and namespace by a selector's text.
type Key = (Kind, String, String);

/// The first match; or why the kind cannot be looked at.
type Match = Result<Option<String>, String>;

/// Looks for targets by their labels.
pub(crate) struct Selections {
    client: kube::Client,
    readings: Readings<Key, Match>,
    metrics: Metrics,
}

impl Selections {
    pub(crate) fn new(client: kube::Client, metrics: Metrics) -> Self {
        Self {
            client,
            readings: Readings::new(),
            metrics,
        }
    }

    /// Gives a Query without target the first match of its selector as target, if there is one.
    pub(crate) async fn follow(
        &self,
        query: &mut Query,
        since: Instant,
    ) -> Result<Result<(), Unplannable>, Unavailable> {
        let selector = match resolve::selector(query) {
            Ok(Some(selector)) => selector.to_string(),
            Ok(None) => return Ok(Ok(())),
            Err(why) => return Ok(Err(why)),
        };
        let namespace = query.metadata.namespace.clone().unwrap_or_default();
        for kind in SELECTABLE {
            let key = (kind, namespace.clone(), selector.clone());
            let first = self.readings.get(&key, since, self.first(&key)).await?;
            match first {
                Ok(Some(name)) => {
                    resolve::select(query, kind, &name);
                    break;
                }
                Ok(None) => {}
                Err(why) => return Ok(Err(refused(query, &why))),
            }
        }
        Ok(Ok(()))
    }

    // In the order of names, as API servers list them.
    async fn first(&self, key: &Key) -> Result<Match, Unavailable> {
        let (kind, namespace, selector) = key;
        let kind_label = KindLabel {
            kind: kind.as_str(),
        };
        self.metrics.selections.get_or_create(&kind_label).inc();
        let mut parameters = ListParams::default().labels(selector).limit(PAGE);
        loop {
            let request = Request::new(url_path(*kind, namespace)).list(&parameters);
            let request = request.map_err(|error| Unavailable(error.to_string()))?;
            let list = match send(&self.client, request).await? {
                Answer::Object(list) => list,
                Answer::Refused { code: 404, .. } => return Ok(Ok(None)),
                Answer::Refused { code: 403, .. } => {
                    return Ok(Err(format!(
                        "the dispatcher may not list {0}; grant its service account the right to list {0}",
                        plural(*kind)
                    )));
                }
                Answer::Refused { code, message, .. } => {
                    return Ok(Err(format!("{code} {message}")));
                }
            };
            if let Some(name) = list["items"][0]["metadata"]["name"].as_str() {
                return Ok(Ok(Some(name.to_owned())));
            }
            match list["metadata"]["continue"]
                .as_str()
                .filter(|token| !token.is_empty())
            {
                Some(token) => parameters = parameters.continue_token(token),
                None => return Ok(Ok(None)),
            }
        }
    }
}

fn refused(query: &Query, why: &str) -> Unplannable {
    let metadata = &query.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Unplannable {
        class: Class::Configuration,
        sentence: format!(
            "Query {}/{}: spec.selector cannot be followed: {why}",
            text(&metadata.namespace),
            text(&metadata.name)
        ),
    }
}
