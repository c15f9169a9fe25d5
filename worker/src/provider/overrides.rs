//! Addresses and credentials of whoever started the process, in the place of what the Models say.

use std::fmt;

use url::Url;

/// Replaces what Models say, as the usual environment variables of the providers' own clients do.
///
/// A key is sent to the overriding address or to the provider's own host, never to another address that a Model names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The base URL of Models of the provider `openai`, as in `OPENAI_BASE_URL`.
    pub openai_base_url: Option<String>,
    /// Their key, as in `OPENAI_API_KEY`.
    pub openai_api_key: Option<String>,
    /// The key of Models of the provider `anthropic`, as in `ANTHROPIC_API_KEY`.
    pub anthropic_api_key: Option<String>,
}

impl Overrides {
    /// The address for Models of `provider`.
    pub(super) fn base_url(&self, provider: &str) -> Option<&str> {
        match provider {
            "openai" => given(&self.openai_base_url),
            _ => None,
        }
    }

    /// The key for a call to `base_url` by a Model of `provider`.
    pub(super) fn api_key(&self, provider: &str, base_url: &str) -> Option<&str> {
        let (key, host) = match provider {
            "openai" => (&self.openai_api_key, "api.openai.com"),
            "anthropic" => (&self.anthropic_api_key, "api.anthropic.com"),
            _ => return None,
        };
        let own = |url: Url| url.scheme() == "https" && url.host_str() == Some(host);
        let trusted =
            self.base_url(provider).is_some() || Url::parse(base_url.trim()).is_ok_and(own);
        given(key).filter(|_| trusted)
    }
}

/// An empty variable is as good as none.
fn given(value: &Option<String>) -> Option<&str> {
    value
        .as_deref()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

impl fmt::Debug for Overrides {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| given(value).map(|_| "[redacted]");
        formatter
            .debug_struct("Overrides")
            .field("openai_base_url", &self.openai_base_url)
            .field("openai_api_key", &shown(&self.openai_api_key))
            .field("anthropic_api_key", &shown(&self.anthropic_api_key))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides() -> Overrides {
        Overrides {
            openai_base_url: None,
            openai_api_key: Some("sk-1".into()),
            anthropic_api_key: Some("sk-2".into()),
        }
    }

    #[test]
    fn keys_go_to_their_own_host_only() {
        let ours = overrides();
        let openai = |url| ours.api_key("openai", url);
        assert_eq!(openai("https://api.openai.com/v1"), Some("sk-1"));
        assert_eq!(openai("http://api.openai.com/v1"), None);
        assert_eq!(openai("https://other.example/v1"), None);
        assert_eq!(ours.api_key("azure", "https://api.openai.com"), None);
        assert_eq!(
            ours.api_key("anthropic", "https://api.anthropic.com"),
            Some("sk-2")
        );
        let moved = Overrides {
            openai_base_url: Some("http://127.0.0.1:11434/v1".into()),
            ..ours.clone()
        };
        let base = moved.base_url("openai").unwrap();
        assert_eq!(moved.api_key("openai", base), Some("sk-1"));
        assert_eq!(moved.base_url("anthropic"), None);
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", overrides());
        assert!(!shown.contains("sk-"), "{shown}");
    }
}
