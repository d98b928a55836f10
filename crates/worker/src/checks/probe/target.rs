//! The target of a check, parsed from the URL of an endpoint.

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

/// The target of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether the connection uses TLS.
    pub is_tls: bool,
    /// The host. An IP address is parsed, whatever its spelling in the URL is.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Host and port, for the `Host` header.
    pub authority: String,
    /// The path with the query.
    pub path: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Domain(String),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
}

impl Target {
    /// Parses an http or https URL without user and password.
    pub fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let is_tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let host = match url.host()? {
            url::Host::Domain(name) => Host::Domain(name.to_owned()),
            url::Host::Ipv4(address) => Host::Ipv4(address),
            url::Host::Ipv6(address) => Host::Ipv6(address),
        };
        let name = url.host_str()?;
        let authority = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", url.path());
        Some(Self { is_tls, host, port: url.port_or_known_default()?, authority, path })
    }

    /// The name that the certificate must have.
    pub fn server_name(&self) -> Option<ServerName<'static>> {
        Some(match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).ok()?,
            Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_these_parts() {
        let target = Target::parse("https://Example.com/a%20b/c?d=e&f#g").unwrap();
        let host = Host::Domain("example.com".to_owned());
        let (authority, path) = ("example.com".to_owned(), "/a%20b/c?d=e&f".to_owned());
        assert_eq!(target, Target { is_tls: true, host, port: 443, authority, path });
        let target = Target::parse("http://[2001:db8::1]:8080").unwrap();
        assert_eq!((target.authority.as_str(), target.path.as_str()), ("[2001:db8::1]:8080", "/"));
        assert_eq!((target.port, target.is_tls), (8080, false));
    }

    #[test]
    fn an_address_is_recognized_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "017700000001",
            "127.1",
            "127.0.0.1.",
            "①②⑦.0.0.1",
        ] {
            let target = Target::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(target.host, Host::Ipv4(Ipv4Addr::LOCALHOST), "{host}");
        }
        let mapped = Host::Ipv6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        assert_eq!(Target::parse("http://[::ffff:127.0.0.1]/").unwrap().host, mapped);
    }

    #[test]
    fn other_urls_are_rejected() {
        for url in [
            "",
            "/a",
            "ftp://a/",
            "file:///etc/passwd",
            "http://",
            "http://user@a/",
            "http://:pw@a/",
            "http://a:99999/",
        ] {
            assert_eq!(Target::parse(url), None, "{url}");
        }
    }
}
