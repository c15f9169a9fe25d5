//! Hosts and address ranges that an operator names for Models.

use std::net::IpAddr;

use thiserror::Error;

/// What an operator adds to the strict policy; the texts are those of Ark's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelUrlLists {
    domains: Vec<String>,
    ranges: Vec<Range>,
}

/// An address with the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    address: IpAddr,
    prefix: u8,
}

/// A line that is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a range of addresses: write it like 10.0.0.0/8")]
pub struct BadRange(String);

impl ModelUrlLists {
    /// Reads both lists, one entry a line; what follows `#` is a comment. `domains` are the only hosts that Models may have,
    /// if there are any: `x.org` stands for itself and its subdomains, as does `*.x.org`, another `*` for anything. `ranges` are
    /// private addresses that are permitted, such as `10.0.0.0/8`.
    pub fn parse(domains: &str, ranges: &str) -> Result<Self, BadRange> {
        Ok(Self {
            domains: entries(domains).map(str::to_lowercase).collect(),
            ranges: entries(ranges).map(range).collect::<Result<_, _>>()?,
        })
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.ranges.is_empty()
    }

    pub(super) fn permits_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_lowercase();
        self.domains.is_empty() || self.domains.iter().any(|domain| covers(domain, &host))
    }

    pub(super) fn permits_address(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty())
}

fn covers(domain: &str, host: &str) -> bool {
    let domain = domain.strip_prefix("*.").unwrap_or(domain);
    match domain.split_once('*') {
        Some((start, end)) => {
            host.len() >= start.len() + end.len() && host.starts_with(start) && host.ends_with(end)
        }
        None => {
            host == domain
                || host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
        }
    }
}

fn range(text: &str) -> Result<Range, BadRange> {
    let bad = || BadRange(text.to_owned());
    let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
    let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
    let prefix: u8 = prefix.trim().parse().map_err(|_| bad())?;
    match prefix <= if address.is_ipv4() { 32 } else { 128 } {
        true => Ok(Range { address, prefix }),
        false => Err(bad()),
    }
}

impl Range {
    fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, bits) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(u32::from(a)), u128::from(u32::from(b)), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
            _ => return false,
        };
        let ignored = bits - u32::from(self.prefix);
        ours.checked_shr(ignored) == theirs.checked_shr(ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_listed_with_their_subdomains() {
        let lists =
            ModelUrlLists::parse("OpenAI.com # ours\n\n*.azure.com\nllm-*.corp\n", "").unwrap();
        let hosts = [
            ("openai.com", true),
            ("API.openai.com.", true),
            ("notopenai.com", false),
            ("openai.com.evil.org", false),
            ("azure.com", true),
            ("x.y.azure.com", true),
            ("llm-1.corp", true),
            ("llm-.corp", true),
            ("llm.corp", false),
        ];
        for (host, permitted) in hosts {
            assert_eq!(lists.permits_host(host), permitted, "{host}");
        }
        assert!(ModelUrlLists::default().permits_host("any.org"));
    }

    #[test]
    fn ranges_are_of_one_family() {
        let lists = ModelUrlLists::parse("", "10.1.0.0/16\n# all of it:\nfd00::/8\n192.168.7.7/32")
            .unwrap();
        let addresses = [
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("fc00::1", false),
            ("192.168.7.7", true),
            ("192.168.7.8", false),
        ];
        for (address, permitted) in addresses {
            assert_eq!(
                lists.permits_address(address.parse().unwrap()),
                permitted,
                "{address}"
            );
        }
        let all = ModelUrlLists::parse("", "0.0.0.0/0\n::/0").unwrap();
        assert!(all.permits_address("10.0.0.1".parse().unwrap()));
        assert!(all.permits_address("fd00::1".parse().unwrap()));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "/8"] {
            assert_eq!(ModelUrlLists::parse("", bad), Err(BadRange(bad.to_owned())));
        }
    }
}
