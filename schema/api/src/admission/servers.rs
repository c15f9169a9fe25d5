//! MCPServer, A2AServer, ExecutionEngine and ArkConfig: rules.

use std::collections::BTreeSet;

use serde_json::json;

use super::Check;
use crate::a2a_server::A2AServerSpec;
use crate::ark_config::ArkConfigSpec;
use crate::execution_engine::ExecutionEngineSpec;
use crate::field_error::FieldError;
use crate::mcp_server::MCPServerSpec;
use crate::shared::{AddressSource, ValueFromSource, ValueSource};

pub(super) fn validate_mcp_server(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: MCPServerSpec = check.spec()?;
    check.resolve(&spec.address, "spec.address");
    check.headers(&spec.headers, "spec.headers");
    check.require_duration(spec.poll_interval.as_deref(), "spec.pollInterval");
    Ok(())
}

pub(super) fn validate_execution_engine(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: ExecutionEngineSpec = check.spec()?;
    check.resolve(&as_value(spec.address), "spec.address");
    Ok(())
}

/// Nothing is looked up here, and any source is good, as in Ark.
pub(super) fn validate_a2a_server(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: A2AServerSpec = check.spec()?;
    let given = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.is_empty());
    if given(&spec.address.value) == spec.address.value_from.is_some() {
        let detail = "set exactly one of value and valueFrom";
        check.error(FieldError::required("spec.address", detail));
    }
    let mut names = BTreeSet::new();
    for (index, header) in spec.headers.iter().enumerate() {
        let path = format!("spec.headers[{index}]");
        if !names.insert(header.name.as_str()) {
            let detail = "occurs twice; remove one";
            check.error(FieldError::invalid(
                format!("{path}.name"),
                &json!(header.name),
                detail,
            ));
        }
        if given(&header.value.value) == header.value.value_from.is_some() {
            let detail = format!(
                "header {:?} needs exactly one of value and valueFrom",
                header.name
            );
            check.error(FieldError::required(format!("{path}.value"), &detail));
        }
    }
    check.require_duration(spec.poll_interval.as_deref(), "spec.pollInterval");
    Ok(())
}

pub(super) fn validate_ark_config(check: &mut Check<'_>) -> Result<(), FieldError> {
    let spec: ArkConfigSpec = check.spec()?;
    if check.name() != "default" {
        let detail = "the one ArkConfig is named \"default\"";
        check.error(FieldError::invalid(
            "metadata.name",
            &json!(check.name()),
            detail,
        ));
    }
    check.require_positive(spec.query_ttl.as_deref(), "spec.queryTTL");
    Ok(())
}

fn as_value(address: AddressSource) -> ValueSource {
    ValueSource {
        value: address.value,
        value_from: address.value_from.map(|from| ValueFromSource {
            config_map_key_ref: from.config_map_key_ref,
            query_parameter_ref: None,
            secret_key_ref: from.secret_key_ref,
            service_ref: from.service_ref,
        }),
    }
}
