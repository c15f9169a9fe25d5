//! A Model's address: read, checked, and completed by the path of its provider.

use ark_api::admission::{ModelUrlPolicy, check_model_url};
use ark_plan::{Class, Input, ModelPlan, Source};
use url::Url;

use crate::failure::Failure;
use crate::secrets::Secrets;

/// The Model's address. One from a Secret could not be checked when the Model was admitted, and is checked here.
pub(super) async fn base_url(
    model: &ModelPlan,
    input: &Input,
    secrets: &Secrets,
    policy: ModelUrlPolicy,
) -> Result<String, Failure> {
    let base = secrets.value(&model.base_url, input).await?;
    if !matches!(model.base_url, Source::Literal(_)) {
        check_base_url(model, base.expose(), policy)?;
    }
    Ok(base.expose().to_owned())
}

fn check_base_url(model: &ModelPlan, url: &str, policy: ModelUrlPolicy) -> Result<(), Failure> {
    check_model_url(url.trim(), policy).map_err(|why| unusable(model, &format!("baseUrl {why}")))
}

/// Ark's base URLs end before `/v1`; one that holds it already, as other clients have it, means the same.
pub(super) fn messages_path(base: &str) -> &'static [&'static str] {
    if base.trim().trim_end_matches('/').ends_with("/v1") {
        &["messages"]
    } else {
        &["v1", "messages"]
    }
}

/// The address with `path` behind its own.
pub(super) fn address(model: &ModelPlan, base: &str, path: &[&str]) -> Result<Url, Failure> {
    let mut url = Url::parse(base.trim()).map_err(|_| unusable(model, "baseUrl is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable(
            model,
            "baseUrl must begin with https:// or http://",
        ));
    }
    url.path_segments_mut()
        .map_err(|()| unusable(model, "baseUrl cannot carry a path"))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

/// The Model as messages name it.
pub(super) fn owner(model: &ModelPlan) -> String {
    format!("Model {}/{}", model.namespace, model.name)
}

fn unusable(model: &ModelPlan, why: &str) -> Failure {
    Failure::new(Class::Configuration, format!("{}: {why}.", owner(model)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelPlan {
        let model = serde_json::json!({
            "namespace": "n", "name": "m", "provider": "openai", "scope": 1,
            "model": {"literal": "m"}, "baseUrl": {"literal": "https://example.com"},
        });
        serde_json::from_value(model).unwrap()
    }

    #[test]
    fn a_base_url_from_a_secret_is_checked_and_not_shown() {
        let metadata = "http://169.254.169.254/secret";
        let refused = check_base_url(&model(), metadata, ModelUrlPolicy::Local).unwrap_err();
        assert_eq!(refused.class, Class::Configuration);
        assert!(!refused.sentence.contains("secret"), "{}", refused.sentence);
        let local = "http://127.0.0.1:1/v1";
        assert!(check_base_url(&model(), local, ModelUrlPolicy::Local).is_ok());
        assert!(check_base_url(&model(), local, ModelUrlPolicy::Strict).is_err());
    }

    #[test]
    fn base_urls_are_checked() {
        assert!(address(&model(), "ftp://x", &["a"]).is_err());
        assert!(address(&model(), "nonsense", &["a"]).is_err());
        assert_eq!(
            address(&model(), "https://x/v1?k=1", &["a"])
                .unwrap()
                .as_str(),
            "https://x/v1/a?k=1"
        );
        assert_eq!(
            messages_path("https://api.anthropic.com"),
            ["v1", "messages"]
        );
        assert_eq!(messages_path("https://proxy/anthropic/v1/ "), ["messages"]);
    }
}
