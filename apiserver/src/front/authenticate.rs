//! Who makes a request.

use ark_store::Key;
use chrono::Utc;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::credentials::service_accounts::Account;
use crate::object;
use crate::server::Server;
use crate::status::{Result, Status};

/// Who has shown a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    /// Not asked yet, or somebody who needs no name.
    Nobody,
    /// The holder of the data folder's token.
    Owner,
    ServiceAccount(Account),
}

impl User {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Nobody => "system:anonymous".to_owned(),
            Self::Owner => "ark".to_owned(),
            Self::ServiceAccount(account) => account.username(),
        }
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        let all = "system:authenticated".to_owned();
        match self {
            Self::Nobody => vec!["system:unauthenticated".to_owned()],
            Self::Owner => vec!["system:masters".to_owned(), all],
            Self::ServiceAccount(account) => vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{}", account.namespace),
                all,
            ],
        }
    }
}

/// The user of a bearer token, or 401.
pub(crate) async fn authenticate(server: &Server, headers: &HeaderMap) -> Result<User> {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // In a time that does not depend on where they differ.
    let is_owner = aws_lc_rs::constant_time::verify_slices_are_equal(
        given.as_bytes(),
        server.token.as_bytes(),
    );
    if is_owner.is_ok() {
        return Ok(User::Owner);
    }
    let now = Utc::now().timestamp();
    let Some(account) = server.service_accounts.verify(given, now) else {
        return Err(Status::unauthorized());
    };
    if !exists(server, &account).await? {
        return Err(Status::unauthorized());
    }
    Ok(User::ServiceAccount(account))
}

/// Tokens end with their account; one of the same name that came later has another uid.
async fn exists(server: &Server, account: &Account) -> Result<bool> {
    let key = Key {
        group: String::new(),
        kind: "ServiceAccount".to_owned(),
        namespace: account.namespace.clone(),
        name: account.name.clone(),
    };
    let Some(stored) = server.store.get(&key).await? else {
        return Ok(false);
    };
    let object = object::parse(&stored.object)?;
    Ok(object::meta(&object, "uid") == account.uid)
}
