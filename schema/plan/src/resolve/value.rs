//! Turns values and references into sources: ConfigMaps and Services are frozen, Secrets stay references.

use std::collections::BTreeSet;

use ark_api::{
    Header, HeaderValueSource, KeySelector, Parameter, ServiceReference, ValueFromSource,
    ValueSource,
};

use super::{Kind, Object, Owner, Resolver, Stop, all, configuration};
use crate::{self as plan, Source};

/// Where a value goes, which decides whose rights a Secret needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Chosen by an author of prompts: the Query's service account must be able to read it.
    Prompt,
    /// To a provider or tool, by the worker's identity.
    Credential,
}

impl Resolver<'_> {
    pub(super) fn parameters(
        &mut self,
        owner: &Owner,
        field: &str,
        parameters: &[Parameter],
        use_: Use,
    ) -> Result<Vec<plan::Parameter>, Stop> {
        all(parameters.iter().enumerate().map(|(i, parameter)| {
            let field = format!("{field}[{i}] ({})", parameter.name);
            let value = self.source(
                owner,
                &field,
                parameter.value.as_deref(),
                parameter.value_from.as_ref(),
                use_,
            )?;
            Ok(plan::Parameter {
                name: parameter.name.clone(),
                value,
            })
        }))
    }

    pub(super) fn headers(
        &mut self,
        owner: &Owner,
        field: &str,
        headers: &[Header],
        use_: Use,
    ) -> Result<Vec<plan::Parameter>, Stop> {
        all(headers.iter().enumerate().map(|(i, header)| {
            let field = format!("{field}[{i}] ({})", header.name);
            let from = header.value.value_from.as_ref().map(value_from);
            let value = match (&header.value.value, &from) {
                // A header may be empty, a parameter may not.
                (Some(value), None) => Source::Literal(value.clone()),
                (value, from) => {
                    self.source(owner, &field, value.as_deref(), from.as_ref(), use_)?
                }
            };
            Ok(plan::Parameter {
                name: header.name.clone(),
                value,
            })
        }))
    }

    pub(super) fn value(
        &mut self,
        owner: &Owner,
        field: &str,
        value: &ValueSource,
    ) -> Result<Source, Stop> {
        self.source(
            owner,
            field,
            value.value.as_deref(),
            value.value_from.as_ref(),
            Use::Credential,
        )
    }

    /// The order in which Ark looks: value, Secret, ConfigMap, Service, Query parameter.
    pub(super) fn source(
        &mut self,
        owner: &Owner,
        field: &str,
        value: Option<&str>,
        from: Option<&ValueFromSource>,
        use_: Use,
    ) -> Result<Source, Stop> {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return Ok(Source::Literal(value.to_owned()));
        }
        let Some(from) = from else {
            return Err(configuration(format!(
                "{owner}: {field} has no value; set value or valueFrom"
            )));
        };
        if let Some(secret) = &from.secret_key_ref {
            self.secret(owner, field, secret, use_)
        } else if let Some(map) = &from.config_map_key_ref {
            self.config_map(owner, field, map)
        } else if let Some(service) = &from.service_ref {
            self.service(owner, field, service)
        } else if let Some(parameter) = &from.query_parameter_ref {
            self.query_parameter(owner, field, &parameter.name)
        } else {
            Err(configuration(format!(
                "{owner}: {field}.valueFrom names no source"
            )))
        }
    }

    fn secret(
        &mut self,
        owner: &Owner,
        field: &str,
        selector: &KeySelector,
        use_: Use,
    ) -> Result<Source, Stop> {
        let KeySelector { name, key, .. } = selector;
        let namespace = &owner.namespace;
        let missing = match self.object(Kind::Secret, namespace, name)? {
            Some(Object::Secret(keys)) if keys.contains(key) => None,
            Some(Object::Secret(keys)) => {
                Some(format!("has no key {key:?}, only {}", listed(keys.iter())))
            }
            _ => Some("does not exist".to_owned()),
        };
        if let Some(missing) = missing {
            let sentence = format!(
                "{owner}: {field} reads key {key:?} of Secret {namespace}/{name}, which {missing}; \
                 create it with: kubectl -n {namespace} create secret generic {name} --from-literal={key}=VALUE"
            );
            if use_ == Use::Prompt || !self.options.lenient_secrets {
                return Err(configuration(sentence));
            }
            self.warnings.push(sentence);
        }
        if use_ == Use::Prompt {
            self.prompt_secrets
                .insert((namespace.clone(), name.clone()));
        }
        Ok(Source::Secret {
            namespace: namespace.clone(),
            name: name.clone(),
            key: key.clone(),
        })
    }

    fn config_map(
        &mut self,
        owner: &Owner,
        field: &str,
        selector: &KeySelector,
    ) -> Result<Source, Stop> {
        let KeySelector { name, key, .. } = selector;
        let namespace = &owner.namespace;
        let missing = match self.object(Kind::ConfigMap, namespace, name)? {
            Some(Object::ConfigMap(data)) => match data.get(key) {
                Some(value) => return Ok(Source::Literal(value.clone())),
                None => format!("has no key {key:?}, only {}", listed(data.keys())),
            },
            _ => "does not exist".to_owned(),
        };
        Err(configuration(format!(
            "{owner}: {field} reads key {key:?} of ConfigMap {namespace}/{name}, which {missing}; \
             create it with: kubectl -n {namespace} create configmap {name} --from-literal={key}=VALUE"
        )))
    }

    fn service(
        &mut self,
        owner: &Owner,
        field: &str,
        reference: &ServiceReference,
    ) -> Result<Source, Stop> {
        let namespace = reference
            .namespace
            .as_deref()
            .filter(|n| !n.is_empty())
            .unwrap_or(&owner.namespace);
        let name = &reference.name;
        let Some(Object::Service(ports)) = self.object(Kind::Service, namespace, name)? else {
            return Err(configuration(format!(
                "{owner}: {field} names Service {namespace}/{name}, which does not exist; create it or set value"
            )));
        };
        let wanted = reference.port.as_deref().filter(|p| !p.is_empty());
        let port = match wanted {
            Some(wanted) => ports.iter().find(|(name, _)| name == wanted),
            None => ports.first(),
        };
        let Some((_, port)) = port else {
            let names = listed(ports.iter().map(|(name, _)| name));
            return Err(configuration(format!(
                "{owner}: {field} names the port {:?} of Service {namespace}/{name}, which has only {names}",
                wanted.unwrap_or_default()
            )));
        };
        let path = match reference.path.as_deref() {
            None | Some("") => String::new(),
            Some(path) => format!("/{}", path.trim_start_matches('/')),
        };
        Ok(Source::Literal(format!(
            "http://{name}.{namespace}.svc.cluster.local:{port}{path}"
        )))
    }

    fn query_parameter(&mut self, owner: &Owner, field: &str, name: &str) -> Result<Source, Stop> {
        if owner.kind == "Query" {
            return Err(configuration(format!(
                "{owner}: {field} reads a parameter of the Query itself; set value, or refer to a Secret or ConfigMap"
            )));
        }
        let parameters = &self.query.spec.parameters;
        if parameters.iter().any(|parameter| parameter.name == name) {
            return Ok(Source::QueryParameter(name.to_owned()));
        }
        Err(configuration(format!(
            "{owner}: {field} reads the parameter {name:?} of the Query, which has only {}; add it to spec.parameters of {}",
            listed(parameters.iter().map(|p| &p.name)),
            Owner::of("Query", self.query),
        )))
    }
}

fn value_from(source: &HeaderValueSource) -> ValueFromSource {
    ValueFromSource {
        config_map_key_ref: source.config_map_key_ref.clone(),
        query_parameter_ref: source.query_parameter_ref.clone(),
        secret_key_ref: source.secret_key_ref.clone(),
        service_ref: None,
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: BTreeSet<&str> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}
