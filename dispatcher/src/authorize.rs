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
    allowed: Mutex<HashMap<(Account, Access), Instant>>,
}

impl Authorizer {
    pub(crate) fn new(authorization: Authorization, client: Client) -> Self {
        Self {
            authorization,
            client,
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
        Ok(match answer {
            Answer::Object(review) if review["status"]["allowed"] == true => None,
            Answer::Object(_) => Some(format!(
                "the service account {namespace}/{name} may not {access}; grant it that right with a Role and a RoleBinding"
            )),
            // Without an answer nothing is allowed.
            Answer::Refused { code, .. } => Some(format!(
                "whether the service account {namespace}/{name} may {access} cannot be checked: the API server refuses \
                 SubjectAccessReviews ({code}); allow the dispatcher to create them, or start it with --authorization off"
            )),
        })
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
