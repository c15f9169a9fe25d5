//! Addresses and credentials of whoever started the process, in the place of what the Models say.

use std::fmt;

use url::Url;

const OPENAI_HOST: &str = "api.openai.com";
const ANTHROPIC_HOST: &str = "api.anthropic.com";

/// Replaces what Models say, as the usual environment variables of the providers' own clients do.
///
/// A key is sent to the overriding address or to the provider's own host, never to another address that a Model names.
/// A Model whose name gives another provider away than its own (`claude-*` is Anthropic's) is sent there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The base URL of Models of the provider `openai`, as in `OPENAI_BASE_URL`.
    pub openai_base_url: Option<String>,
    /// Their key, as in `OPENAI_API_KEY`.
    pub openai_api_key: Option<String>,
    /// The key of Models of the provider `anthropic`, as in `ANTHROPIC_API_KEY`.
    pub anthropic_api_key: Option<String>,
}

/// Who is called instead of the Model's own provider.
#[derive(Debug, PartialEq)]
pub(super) struct Route {
    pub(super) provider: &'static str,
    pub(super) base_url: String,
}

impl Overrides {
    /// Where calls of a Model go that names `provider`, the model `name` and, if it could be read, the address
    /// `own_base`; `None`: where the Model says.
    ///
    /// A model is known by its name where its provider's public API cannot serve it and the other's key or address is
    /// given: `claude-*` is Anthropic's, every other name goes to the OpenAI-compatible endpoint. An address of the
    /// Model's own may be a gateway that serves both, and is believed.
    pub(super) fn route(
        &self,
        provider: &str,
        name: &str,
        own_base: Option<&str>,
    ) -> Option<Route> {
        let is_claude = name.starts_with("claude-");
        let openai_base = given(&self.openai_base_url);
        let on = |host| own_base.is_some_and(|base| is_https_on(base, host));
        match provider {
            "openai" if is_claude && given(&self.anthropic_api_key).is_some() => {
                let elsewhere = openai_base.is_some() || on(OPENAI_HOST);
                elsewhere.then(|| Route::to("anthropic", &format!("https://{ANTHROPIC_HOST}")))
            }
            "openai" => openai_base.map(|base| Route::to("openai", base)),
            "anthropic" if !is_claude && on(ANTHROPIC_HOST) => match openai_base {
                Some(base) => Some(Route::to("openai", base)),
                None => given(&self.openai_api_key)
                    .map(|_| Route::to("openai", &format!("https://{OPENAI_HOST}/v1"))),
            },
            _ => None,
        }
    }

    /// The key for a call to `base_url` at `provider`.
    pub(super) fn api_key(&self, provider: &str, base_url: &str) -> Option<&str> {
        let (key, trusted) = match provider {
            "openai" => {
                let overriding = given(&self.openai_base_url) == Some(base_url);
                let trusted = overriding || is_https_on(base_url, OPENAI_HOST);
                (&self.openai_api_key, trusted)
            }
            "anthropic" => (
                &self.anthropic_api_key,
                is_https_on(base_url, ANTHROPIC_HOST),
            ),
            _ => return None,
        };
        given(key).filter(|_| trusted)
    }
}

impl Route {
    fn to(provider: &'static str, base_url: &str) -> Self {
        let base_url = base_url.to_owned();
        Self { provider, base_url }
    }
}

fn is_https_on(url: &str, host: &str) -> bool {
    Url::parse(url.trim()).is_ok_and(|url| url.scheme() == "https" && url.host_str() == Some(host))
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
        let local = "http://127.0.0.1:11434/v1";
        let moved = Overrides {
            openai_base_url: Some(local.into()),
            ..ours.clone()
        };
        assert_eq!(moved.api_key("openai", local), Some("sk-1"));
        assert_eq!(moved.api_key("openai", "https://other.example/v1"), None);
    }

    #[test]
    fn a_model_is_known_by_its_name() {
        let (openai, claude) = ("https://api.openai.com/v1", "https://api.anthropic.com");
        let (local, gateway) = ("http://127.0.0.1:11434/v1", "https://gateway.example/v1");
        let keys = overrides();
        let moved = Overrides {
            openai_base_url: Some(local.into()),
            ..keys.clone()
        };
        let none = Overrides::default();
        let cases = [
            (&none, "openai", "claude-x", openai, None),
            (&none, "anthropic", "gpt-x", claude, None),
            (&keys, "openai", "gpt-x", openai, None),
            (
                &keys,
                "openai",
                "claude-x",
                openai,
                Some(("anthropic", claude)),
            ),
            (&keys, "openai", "claude-x", gateway, None),
            (&keys, "anthropic", "claude-x", claude, None),
            (
                &keys,
                "anthropic",
                "llama3",
                claude,
                Some(("openai", openai)),
            ),
            (&keys, "anthropic", "llama3", gateway, None),
            (&moved, "openai", "llama3", openai, Some(("openai", local))),
            (&moved, "openai", "llama3", gateway, Some(("openai", local))),
            (
                &moved,
                "openai",
                "claude-x",
                gateway,
                Some(("anthropic", claude)),
            ),
            (
                &moved,
                "anthropic",
                "llama3",
                claude,
                Some(("openai", local)),
            ),
            (&moved, "azure", "gpt-x", gateway, None),
        ];
        for (overrides, provider, name, own, expected) in cases {
            let route = overrides.route(provider, name, Some(own));
            let expected = expected.map(|(provider, base)| Route::to(provider, base));
            assert_eq!(route, expected, "{provider} {name} {own}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", overrides());
        assert!(!shown.contains("sk-"), "{shown}");
    }
}
