//! The options of a deletion.

use serde::Deserialize;
use serde_json::Value;

use crate::front::negotiate;
use crate::front::options::is_dry_run;
use crate::front::request::Request;
use crate::protobuf;
use crate::status::{FieldError, Result, Status};

/// The parameters of a deletion, from its body or else from the query.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    kind: String,
    api_version: String,
    dry_run: Vec<String>,
    orphan_dependents: Option<bool>,
    pub(crate) propagation_policy: Option<String>,
    pub(crate) preconditions: Preconditions,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    pub(crate) fn parse(request: &Request) -> Result<Self> {
        let (query, body) = (&request.query, &request.body);
        let broken = |why: &dyn std::fmt::Display| {
            Status::bad_request(format!("the body is not valid DeleteOptions: {why}"))
        };
        let options = if body.is_empty() {
            Self {
                dry_run: query.get("dryRun").map(str::to_owned).into_iter().collect(),
                propagation_policy: query.get("propagationPolicy").map(str::to_owned),
                ..Self::default()
            }
        } else if negotiate::content_type(&request.headers) == protobuf::MEDIA_TYPE {
            let message = protobuf::schema::message("DeleteOptions");
            let options = protobuf::decode(message, body).map_err(|e| broken(&e))?;
            serde_json::from_value(options.into()).map_err(|e| broken(&e))?
        } else {
            let value: Value = serde_json::from_slice(body).map_err(|error| {
                let why = match error.is_eof() {
                    true => "unexpected end of JSON input".to_owned(),
                    false => error.to_string(),
                };
                Status::bad_request(format!(
                    "couldn't get version/kind; json parse error: {why}"
                ))
            })?;
            let parsed: Option<Self> = serde_json::from_value(value).map_err(|e| broken(&e))?;
            parsed.unwrap_or_default()
        };
        options.validate()?;
        Ok(options)
    }

    fn validate(&self) -> Result<()> {
        if !["", "DeleteOptions"].contains(&self.kind.as_str()) {
            let (kind, version) = (&self.kind, &self.api_version);
            return Err(Status::bad_request(format!(
                "no kind {kind:?} is registered for version {version:?}: DeleteOptions are expected"
            )));
        }
        if let (Some(_), Some(policy)) = (self.orphan_dependents, &self.propagation_policy) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            let value = policy.as_str().into();
            let cause = FieldError::invalid("propagationPolicy", &value, why);
            return Err(Status::invalid_options("DeleteOptions", cause));
        }
        const POLICIES: [&str; 4] = ["Foreground", "Background", "Orphan", "nil"];
        if let Some(policy) = &self.propagation_policy
            && !POLICIES[..3].contains(&policy.as_str())
        {
            let value = policy.as_str().into();
            let cause = FieldError::not_supported("propagationPolicy", &value, &POLICIES);
            return Err(Status::invalid_options("DeleteOptions", cause));
        }
        self.is_dry_run().map(|_| ())
    }

    pub(crate) fn is_dry_run(&self) -> Result<bool> {
        let values: Vec<_> = self.dry_run.iter().map(String::as_str).collect();
        is_dry_run(&values, "DeleteOptions")
    }
}
