//! Whether a Query's service account may use what the Query uses, by SubjectAccessReview.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::core::Request;
use kube::{Client, Resource};

use crate::Authorization;
use crate::api::{Answer, Unavailable, send};
use crate::metrics::{Metrics, ResultLabel};

const VALID: Duration = Duration::from_secs(10);

/// The right to get one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Access {
    pub(crate) group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "get {} {}/{}", self.resource, self.namespace, self.name)
    }
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Asks the API server, and remembers what it allowed for a short while; refusals are asked again each time, so that a
/// right counts as soon as it is granted.
pub(crate) struct Authorizer {
    authorization: Authorization,
    client: Client,
    metrics: Metrics,
    allowed: Mutex<HashMap<(Account, Access), Instant>>,
}

impl Authorizer {
    pub(crate) fn new(authorization: Authorization, client: Client, metrics: Metrics) -> Self {
        Self {
            authorization,
            client,
            metrics,
            allowed: Mutex::default(),
        }
    }

    /// None when all is allowed, else one sentence that says what is not and what would mend it.
    pub(crate) async fn refusal(
        &self,
        account: &Account,
        accesses: &[Access],
    ) -> Result<Option<String>, Unavailable> {
        if self.authorization == Authorization::Off {
            return Ok(None);
        }
        for access in accesses {
            let key = (account.clone(), access.clone());
            if self.is_remembered(&key) {
                continue;
            }
            if let Some(refusal) = self.review(account, access).await? {
                return Ok(Some(refusal));
            }
            self.remember(key);
        }
        Ok(None)
    }

    fn is_remembered(&self, key: &(Account, Access)) -> bool {
        let allowed = self
            .allowed
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        allowed
            .get(key)
            .is_some_and(|since| since.elapsed() < VALID)
    }

    fn remember(&self, key: (Account, Access)) {
        let mut allowed = self
            .allowed
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        allowed.retain(|_, since| since.elapsed() < VALID);
        allowed.insert(key, Instant::now());
    }

    async fn review(
        &self,
        account: &Account,
        access: &Access,
    ) -> Result<Option<String>, Unavailable> {
        let review = serde_json::to_vec(&review(account, access)).expect("a review is plain data");
        let request = Request::new(SubjectAccessReview::url_path(&(), None));
        let request = request
            .create(&PostParams::default(), review)
            .expect("the path is constant");
        let answer = send(&self.client, request).await;
        let answer = answer
            .map_err(|error| Unavailable(format!("a SubjectAccessReview failed: {error}")))?;
        let Account { namespace, name } = account;
        let (result, refusal) = match answer {
            Answer::Object(review) if review["status"]["allowed"] == true => ("allowed", None),
            Answer::Object(_) => (
                "denied",
                Some(format!(
                    "the service account {namespace}/{name} may not {access}; grant it that right with a Role and a \
                     RoleBinding"
                )),
            ),
            // Without an answer nothing is allowed.
            Answer::Refused { code, .. } => (
                "refused",
                Some(format!(
                    "whether the service account {namespace}/{name} may {access} cannot be checked: the API server \
                     refuses SubjectAccessReviews ({code}); allow the dispatcher to create them, or start it with \
                     --authorization off"
                )),
            ),
        };
        let label = ResultLabel { result };
        self.metrics.reviews.get_or_create(&label).inc();
        Ok(refusal)
    }
}

fn review(account: &Account, access: &Access) -> SubjectAccessReview {
    let Account { namespace, name } = account;
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{namespace}:{name}")),
            groups: Some(vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ]),
            resource_attributes: Some(ResourceAttributes {
                verb: Some("get".to_owned()),
                group: Some(access.group.to_owned()),
                resource: Some(access.resource.to_owned()),
                namespace: Some(access.namespace.clone()),
                name: Some(access.name.clone()),
                ..Default::default()
            }),
            ..Default::default()
        },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use axum::{Json, Router};
    use prometheus_client::registry::Registry;
    use serde_json::{Value, json};

    use super::*;

    /// What the server answers next, and what it was asked.
    #[derive(Clone, Default)]
    struct Server {
        answers: Arc<Mutex<Vec<(StatusCode, Value)>>>,
        asked: Arc<Mutex<Vec<Value>>>,
    }

    impl Server {
        async fn start(&self) -> Client {
            let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
            let app = Router::new()
                .route(path, post(answer))
                .with_state(self.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
            Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()
        }

        fn next(&self, code: u16, allowed: bool) {
            let answer = json!({"kind": "SubjectAccessReview", "status": {"allowed": allowed}});
            let code = StatusCode::from_u16(code).unwrap();
            self.answers.lock().unwrap().push((code, answer));
        }
    }

    async fn answer(
        State(server): State<Server>,
        Json(review): Json<Value>,
    ) -> (StatusCode, Json<Value>) {
        server.asked.lock().unwrap().push(review);
        let (code, answer) = server.answers.lock().unwrap().remove(0);
        (code, Json(answer))
    }

    #[tokio::test]
    async fn only_a_right_that_was_granted_is_remembered() {
        let server = Server::default();
        let client = server.start().await;
        let metrics = Metrics::register(&mut Registry::default());
        let authorizer = Authorizer::new(Authorization::Rbac, client.clone(), metrics.clone());
        let account = Account {
            namespace: "n".to_owned(),
            name: "bot".to_owned(),
        };
        let access = [Access {
            group: "",
            resource: "secrets",
            namespace: "n".to_owned(),
            name: "s".to_owned(),
        }];

        server.next(500, true);
        assert!(
            authorizer.refusal(&account, &access).await.is_err(),
            "it is asked again later"
        );
        for (code, allowed, words) in [
            (
                201,
                false,
                "the service account n/bot may not get secrets n/s; grant it that right",
            ),
            (
                403,
                true,
                "cannot be checked: the API server refuses SubjectAccessReviews (403)",
            ),
            (
                404,
                true,
                "cannot be checked: the API server refuses SubjectAccessReviews (404)",
            ),
        ] {
            server.next(code, allowed);
            let refusal = authorizer
                .refusal(&account, &access)
                .await
                .unwrap()
                .unwrap();
            assert!(refusal.contains(words), "{refusal}");
        }
        server.next(201, true);
        for _ in 0..2 {
            assert_eq!(authorizer.refusal(&account, &access).await.unwrap(), None);
        }
        let asked = server.asked.lock().unwrap().clone();
        assert_eq!(
            asked.len(),
            5,
            "what was granted is not asked again at once"
        );
        assert_eq!(asked[0]["spec"]["user"], "system:serviceaccount:n:bot");
        let attributes = json!({"verb": "get", "group": "", "resource": "secrets", "namespace": "n", "name": "s"});
        assert_eq!(asked[0]["spec"]["resourceAttributes"], attributes);
        let denied = ResultLabel { result: "denied" };
        assert_eq!(metrics.reviews.get_or_create(&denied).get(), 1);

        let off = Authorizer::new(Authorization::Off, client, metrics);
        assert_eq!(off.refusal(&account, &access).await.unwrap(), None);
        assert_eq!(server.asked.lock().unwrap().len(), 5);
    }
}
