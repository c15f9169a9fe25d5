//! Rules for parameters, headers, overrides and values by reference.

use base64::Engine as _;
use serde_json::{Value, json};

use super::Check;
use crate::field_error::FieldError;
use crate::shared::{
    Header, HeaderValueSource, KeySelector, Override, Parameter, ValueFromSource, ValueSource,
};

/// What a value source amounts to at admission.
pub(super) enum Resolved {
    /// A literal, or the content of a key.
    Text(String),
    /// The address of a Service, which is not looked up.
    Service,
    /// Nothing to go on; the reason was noted.
    Unknown,
}

fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.is_empty())
}

impl Check<'_> {
    /// Parameters need a name and exactly one of value and valueFrom, whose source must exist.
    pub(super) fn parameters(&mut self, parameters: &[Parameter], path: &str) {
        for (index, parameter) in parameters.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if parameter.name.is_empty() {
                let detail = "name the parameter, so that templates can read it";
                self.error(FieldError::required(format!("{path}.name"), detail));
            }
            let about = format!("parameter {:?}", parameter.name);
            match (given(&parameter.value), &parameter.value_from) {
                (Some(_), None) => {}
                (None, Some(source)) => self.parameter_source(source, &about, &path),
                (Some(_), Some(_)) => {
                    let detail = format!("{about} may have value or valueFrom, not both");
                    self.error(FieldError::forbidden(format!("{path}.valueFrom"), &detail));
                }
                (None, None) => {
                    let detail = format!("{about} needs a value that is not empty, or valueFrom");
                    self.error(FieldError::required(format!("{path}.value"), &detail));
                }
            }
        }
    }

    fn parameter_source(&mut self, source: &ValueFromSource, about: &str, path: &str) {
        let path = format!("{path}.valueFrom");
        let count = [
            source.config_map_key_ref.is_some(),
            source.secret_key_ref.is_some(),
            source.service_ref.is_some(),
            source.query_parameter_ref.is_some(),
        ];
        if count.into_iter().filter(|set| *set).count() != 1 {
            let detail = format!(
                "{about} needs exactly one of configMapKeyRef, secretKeyRef, serviceRef and \
                 queryParameterRef"
            );
            self.error(FieldError::required(path, &detail));
            return;
        }
        if let Some(key) = &source.config_map_key_ref {
            self.key("ConfigMap", key, &format!("{path}.configMapKeyRef"));
        }
        if let Some(key) = &source.secret_key_ref {
            self.key("Secret", key, &format!("{path}.secretKeyRef"));
        }
        if source
            .service_ref
            .as_ref()
            .is_some_and(|s| s.name.is_empty())
        {
            self.error(FieldError::required(
                format!("{path}.serviceRef.name"),
                "name the Service",
            ));
        }
        if source
            .query_parameter_ref
            .as_ref()
            .is_some_and(|q| q.name.is_empty())
        {
            let field = format!("{path}.queryParameterRef.name");
            self.error(FieldError::required(field, "name the Query's parameter"));
        }
    }

    /// Overrides need a kind of objects and at least one header.
    pub(super) fn overrides(&mut self, overrides: &[Override], path: &str) {
        for (index, entry) in overrides.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !["model", "mcpserver"].contains(&entry.resource_type.as_str()) {
                self.error(FieldError::not_supported(
                    format!("{path}.resourceType"),
                    &json!(entry.resource_type),
                    &["model", "mcpserver"],
                ));
            }
            if entry.headers.is_empty() {
                let detail = "an override needs at least one header";
                self.error(FieldError::required(format!("{path}.headers"), detail));
            }
            self.headers(&entry.headers, &format!("{path}.headers"));
        }
    }

    /// Headers need a name and exactly one of a value and a key of a Secret or ConfigMap;
    /// the key is not looked up.
    pub(super) fn headers(&mut self, headers: &[Header], path: &str) {
        for (index, header) in headers.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if header.name.is_empty() {
                self.error(FieldError::required(
                    format!("{path}.name"),
                    "name the header",
                ));
            }
            let about = format!("header {:?}", header.name);
            match (given(&header.value.value), &header.value.value_from) {
                (Some(_), None) => {}
                (None, Some(source)) => self.header_source(source, &about, &path),
                _ => {
                    let detail = format!("{about} needs exactly one of value and valueFrom");
                    self.error(FieldError::required(format!("{path}.value"), &detail));
                }
            }
        }
    }

    fn header_source(&mut self, source: &HeaderValueSource, about: &str, path: &str) {
        if source.secret_key_ref.is_some() == source.config_map_key_ref.is_some() {
            let detail = format!("{about} needs exactly one of secretKeyRef and configMapKeyRef");
            self.error(FieldError::required(
                format!("{path}.value.valueFrom"),
                &detail,
            ));
        }
    }

    /// What a value source amounts to, in Ark's order: value, Secret, ConfigMap, Service.
    pub(super) fn resolve(&mut self, source: &ValueSource, path: &str) -> Resolved {
        if let Some(text) = given(&source.value) {
            return Resolved::Text(text.to_owned());
        }
        let from = source.value_from.clone().unwrap_or_default();
        let path = format!("{path}.valueFrom");
        let key = match (&from.secret_key_ref, &from.config_map_key_ref) {
            (Some(key), _) => Some(self.key("Secret", key, &format!("{path}.secretKeyRef"))),
            (_, Some(key)) => Some(self.key("ConfigMap", key, &format!("{path}.configMapKeyRef"))),
            _ => None,
        };
        match (key, &from.service_ref) {
            (Some(Some(text)), _) => Resolved::Text(text),
            (Some(None), _) => Resolved::Unknown,
            (None, Some(service)) if !service.name.is_empty() => Resolved::Service,
            (None, Some(_)) => {
                let field = format!("{path}.serviceRef.name");
                self.error(FieldError::required(field, "name the Service"));
                Resolved::Unknown
            }
            (None, None) => {
                let path = path.trim_end_matches(".valueFrom");
                let detail =
                    "set value, or valueFrom with secretKeyRef, configMapKeyRef or serviceRef";
                self.error(FieldError::required(path, detail));
                Resolved::Unknown
            }
        }
    }

    /// The content of a key, which must exist.
    fn key(&mut self, kind: &str, selector: &KeySelector, path: &str) -> Option<String> {
        let (name, key, namespace) = (&selector.name, &selector.key, self.namespace());
        let missing = match self.found.get(kind, namespace, name) {
            None => format!(
                "{} {name:?} does not exist in namespace {namespace:?}; create it first, or \
                 correct the name",
                kind.to_lowercase()
            ),
            Some(holder) => match content(holder, key) {
                Some(text) => return Some(text),
                None => format!(
                    "{} {name:?} in namespace {namespace:?} has no key {key:?}; add the key, or \
                     correct it",
                    kind.to_lowercase()
                ),
            },
        };
        let error = FieldError::not_found(path, &missing);
        match kind {
            "Secret" => self.missing_secret(error),
            _ => self.error(error),
        }
        None
    }
}

/// The text under a key of a Secret (base64 in `data`, plain in `stringData`) or ConfigMap.
fn content(holder: &Value, key: &str) -> Option<String> {
    if let Some(text) = holder["stringData"][key].as_str() {
        return Some(text.to_owned());
    }
    let text = holder["data"][key].as_str()?;
    // The object's own kind may be missing in what a list returns; a Secret then still has a type.
    if holder["kind"] != "Secret" && !holder["type"].is_string() {
        return Some(text.to_owned());
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
