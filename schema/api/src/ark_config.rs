//! ArkConfig: settings of the whole installation, one object named `default`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the installation.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ark.mckinsey.com",
    version = "v1alpha1",
    kind = "ArkConfig",
    plural = "arkconfigs",
    status = "ArkConfigStatus",
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default",
    attr = "cfg_attr(all(), serde(default))",
    doc = "Settings of the whole installation; the one object is named default."
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ArkConfigSpec {
    /// How long finished queries are kept that do not say so themselves, a Go duration.
    #[serde(rename = "queryTTL", skip_serializing_if = "Option::is_none")]
    pub query_ttl: Option<String>,
}

/// Nothing is recorded about the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ArkConfigStatus {}
