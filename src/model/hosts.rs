//! Which hosts a set-up may talk to: pure, from the words of a configuration.

use core::net::IpAddr;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Ports that a name alone stands for: HTTPS and HTTP.
const USUAL: [u16; 2] = [443, 80];

/// One entry of the list: `registry.npmjs.org`, `*.pythonhosted.org`, `localhost:4873`,
/// `10.0.0.3:8080`, `[::1]:80`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostRule {
    /// In lower case, without the last dot; without the `*.` of a rule for all below.
    name: String,
    /// Whether it is for every name below, and not for the name itself.
    below: bool,
    port: Option<u16>,
}

/// Why a word names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no host: {why}; write `registry.example.com`, `*.example.com` or `localhost:8080`"
)]
pub struct NoHost {
    /// The word.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for HostRule {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let wrong = |why| NoHost {
            text: text.to_owned(),
            why,
        };
        if text.contains("://") {
            return Err(wrong("it is an address of a page"));
        }
        let (name, port) = split_host(text).ok_or_else(|| wrong("its port is no number"))?;
        let (name, below) = match name.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong("it holds what no name holds"));
        }
        if below && !name.contains('.') {
            return Err(wrong("it stands for all names of a whole domain"));
        }
        Ok(HostRule {
            name: normal(name),
            below,
            port,
        })
    }
}

impl TryFrom<String> for HostRule {
    type Error = NoHost;

    fn try_from(text: String) -> Result<Self, NoHost> {
        text.parse()
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> String {
        rule.to_string()
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        let brackets = self.port.is_some() && self.name.contains(':');
        match brackets {
            true => write!(f, "[{}]", self.name)?,
            false => write!(f, "{star}{}", self.name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The hosts that are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<HostRule>);

impl Hosts {
    /// A list.
    pub fn new(rules: impl IntoIterator<Item = HostRule>) -> Self {
        Hosts(rules.into_iter().collect())
    }

    /// Whether a host may be talked to at a port.
    pub fn allow(&self, host: &str, port: u16) -> bool {
        let host = normal(host);
        self.0.iter().any(|rule| {
            let named = match rule.below {
                true => host
                    .strip_suffix(rule.name.as_str())
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
                false => host == rule.name,
            };
            named && rule.port.map_or(USUAL.contains(&port), |own| own == port)
        })
    }

    /// The list in words.
    pub fn spoken(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|rule| format!("`{rule}`")).collect();
        match words.is_empty() {
            true => "nothing".to_owned(),
            false => words.join(", "),
        }
    }
}

/// Whether an allowed name may lead to an address. A name that somebody else looks after must
/// not lead to services of this very machine or to the metadata of a cloud; an address or
/// `localhost` that the user wrote down says what it means.
pub fn host_may_lead(host: &str, address: IpAddr) -> bool {
    if normal(host) == "localhost" || literal(host).is_some() {
        return true;
    }
    let plain = match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let local = match plain {
        IpAddr::V4(four) => four.is_link_local() || four.is_broadcast(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    !(local || plain.is_loopback() || plain.is_unspecified() || plain.is_multicast())
}

/// An address that was written instead of a name.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

fn normal(name: &str) -> String {
    let name = name.trim_matches(['[', ']']);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Host and port of `host`, `host:port` or `[v6]:port`; `None` for a port that is no number.
pub fn split_host(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (name, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((name, Some(port.parse().ok()?))),
            None => after.is_empty().then_some((name, None)),
        };
    }
    match text.split_once(':') {
        // Several colons without brackets: an address of version 6.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(words: &[&str]) -> Hosts {
        Hosts::new(words.iter().map(|word| word.parse().expect("a host")))
    }

    #[test]
    fn a_name_is_only_itself_and_a_star_only_what_lies_below() {
        let list = hosts(&["registry.npmjs.org", "*.pythonhosted.org", "localhost:4873"]);
        for (host, port) in [
            ("registry.npmjs.org", 443),
            ("Registry.NPMJS.org.", 80),
            ("files.pythonhosted.org", 443),
            ("a.b.pythonhosted.org", 443),
            ("localhost", 4873),
        ] {
            assert!(list.allow(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("registry.npmjs.org", 22),
            ("evil-registry.npmjs.org", 443),
            ("registry.npmjs.org.evil.com", 443),
            ("npmjs.org", 443),
            ("pythonhosted.org", 443),
            (".pythonhosted.org", 443),
            ("evilpythonhosted.org", 443),
            ("localhost", 443),
            ("127.0.0.1", 4873),
            ("", 443),
        ] {
            assert!(!list.allow(host, port), "{host}:{port}");
        }
    }

    #[test]
    fn a_name_leads_to_no_service_of_this_machine() {
        for address in [
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "0.0.0.0",
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert!(!host_may_lead("registry.example.com", address), "{address}");
            assert!(host_may_lead("localhost", address), "{address}");
        }
        assert!(host_may_lead(
            "registry.corp",
            "10.1.2.3".parse().expect("an address")
        ));
        assert!(host_may_lead(
            "127.0.0.1",
            "127.0.0.1".parse().expect("an address")
        ));
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        for (text, why) in [
            ("https://a.example", "a page"),
            ("a:b", "no number"),
            ("a/b", "no name"),
            ("*.com", "whole domain"),
            ("", "no name"),
        ] {
            let error = text.parse::<HostRule>().expect_err(text);
            assert!(error.to_string().contains(why), "{error}");
        }
        for text in ["a.example:80", "*.a.example", "[::1]:80", "10.0.0.1:1"] {
            assert_eq!(text.parse::<HostRule>().expect(text).to_string(), text);
        }
    }
}
