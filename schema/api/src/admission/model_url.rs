//! Which URLs a Model may have.

mod lists;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

pub use lists::{BadRange, ModelUrlLists};

/// Which URLs a Model may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelUrlPolicy {
    /// Ark's own: https, except inside the cluster; no loopback, no private address.
    #[default]
    Strict,
    /// For a developer's machine: also http, loopback and private addresses.
    Local,
    /// Strict, with what an operator lists; made by [`ModelUrlPolicy::with`].
    Listed(&'static ModelUrlLists),
}

impl ModelUrlPolicy {
    /// The policy with an operator's lists, which stay in memory until the process ends. The local policy permits all that
    /// they could.
    pub fn with(self, lists: ModelUrlLists) -> Self {
        match self {
            Self::Strict if !lists.is_empty() => Self::Listed(Box::leak(Box::new(lists))),
            policy => policy,
        }
    }

    fn permits_address(self, address: IpAddr) -> bool {
        matches!(self, Self::Listed(lists) if lists.permits_address(address))
    }
}

/// The text names no policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown model URL policy {0:?}: use strict or local")]
pub struct UnknownPolicy(String);

impl FromStr for ModelUrlPolicy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        match text {
            "strict" => Ok(Self::Strict),
            "local" => Ok(Self::Local),
            other => Err(UnknownPolicy(other.to_owned())),
        }
    }
}

impl fmt::Display for ModelUrlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict | Self::Listed(_) => "strict",
            Self::Local => "local",
        })
    }
}

/// Checks the base URL of a Model; the error says what is wrong and what would mend
/// it, without repeating the URL.
///
/// Host names are not resolved. Link-local addresses, where clouds keep credentials of
/// the machine, are refused under either policy.
pub fn check_model_url(url: &str, policy: ModelUrlPolicy) -> Result<(), String> {
    let parsed = Url::parse(url)
        .map_err(|e| format!("is not a URL ({e}); write it like https://host/v1"))?;
    let host = parsed.host().filter(|host| host.to_string() != "");
    let Some(host) = host else {
        return Err("has no host; write it like https://host/v1".to_owned());
    };
    let plain = parsed.scheme() == "http";
    if !plain && parsed.scheme() != "https" {
        let scheme = parsed.scheme();
        return Err(format!("has the scheme {scheme:?}; use https"));
    }
    let in_cluster =
        matches!(&host, Host::Domain(name) if name.to_lowercase().ends_with(".svc.cluster.local"));
    if plain && !in_cluster && policy != ModelUrlPolicy::Local {
        return Err(
            "must use https; http is for hosts under .svc.cluster.local, or for any host with \
             --model-url-policy local"
                .to_owned(),
        );
    }
    if let ModelUrlPolicy::Listed(lists) = policy
        && !lists.permits_host(&host.to_string())
    {
        return Err("has a host that is not among the permitted domains; ask whoever runs this system to list it".to_owned());
    }
    check_host(&host, policy)
}

fn check_host(host: &Host<&str>, policy: ModelUrlPolicy) -> Result<(), String> {
    let address = match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_lowercase();
            if name != "localhost" && !name.ends_with(".localhost") {
                return Ok(());
            }
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(*address),
        },
    };
    let what = match address {
        IpAddr::V4(address) if address.is_link_local() => "link-local",
        IpAddr::V6(address) if address.is_unicast_link_local() => "link-local",
        _ if policy == ModelUrlPolicy::Local => return Ok(()),
        address if address.is_loopback() || address.is_unspecified() => "loopback",
        _ if policy.permits_address(address) => return Ok(()),
        IpAddr::V4(address) if address.is_private() => "private",
        IpAddr::V6(address) if is_unique_local(address) => "private",
        _ => return Ok(()),
    };
    Err(match what {
        "link-local" => "has a link-local address; use the model's public host name".to_owned(),
        what => {
            format!("has a {what} address; use a host name, or start with --model-url-policy local")
        }
    })
}

fn is_unique_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xfe00 == 0xfc00
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(url: &str, policy: ModelUrlPolicy) -> bool {
        check_model_url(url, policy).is_ok()
    }

    #[test]
    fn strict_is_arks_policy() {
        for url in [
            "https://api.openai.com/v1",
            "http://llm.models.svc.cluster.local:8080/v1",
            "https://8.8.8.8/v1",
            "HTTPS://API.OPENAI.COM",
        ] {
            assert!(allowed(url, ModelUrlPolicy::Strict), "{url}");
            assert!(allowed(url, ModelUrlPolicy::Local), "{url}");
        }
        for url in [
            "http://api.openai.com/v1",
            "http://host.docker.internal:11434/v1",
            "http://127.0.0.1:8080",
            "https://127.0.0.1",
            "https://localhost:8443",
            "https://[::1]/v1",
            "https://[::ffff:127.0.0.1]/",
            "https://0x7f.1/",
            "https://10.0.0.1",
            "https://192.168.1.1",
            "https://[fd00::1]",
            "https://0.0.0.0",
        ] {
            assert!(!allowed(url, ModelUrlPolicy::Strict), "{url}");
            assert!(allowed(url, ModelUrlPolicy::Local), "{url}");
        }
    }

    #[test]
    fn never_allowed() {
        for url in [
            "",
            "api.openai.com",
            "file:///etc/passwd",
            "ftp://x",
            "javascript:alert(1)",
            "data:,x",
            "https://",
            "http:///x y",
            "https://169.254.169.254/latest",
            "http://[fe80::1]/",
            "ws://x",
            "https://a b/",
        ] {
            assert!(!allowed(url, ModelUrlPolicy::Strict), "{url}");
            assert!(!allowed(url, ModelUrlPolicy::Local), "{url}");
        }
    }

    #[test]
    fn lists_open_private_ranges_and_close_other_hosts() {
        let lists = ModelUrlLists::parse("openai.com\n10.*", "10.0.0.0/8\n127.0.0.0/8").unwrap();
        let policy = ModelUrlPolicy::Strict.with(lists);
        for url in ["https://api.openai.com/v1", "https://10.1.2.3:8443"] {
            assert!(allowed(url, policy), "{url}");
        }
        for url in [
            "http://10.1.2.3",
            "https://192.168.0.1",
            "https://127.0.0.1",
            "https://169.254.169.254",
            "https://example.com",
        ] {
            assert!(!allowed(url, policy), "{url}");
        }
        let none = ModelUrlPolicy::Strict.with(ModelUrlLists::default());
        assert_eq!(none, ModelUrlPolicy::Strict);
    }

    #[test]
    fn policies_have_names() {
        for policy in [ModelUrlPolicy::Strict, ModelUrlPolicy::Local] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("open".parse::<ModelUrlPolicy>().is_err());
    }
}
