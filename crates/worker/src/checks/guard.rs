//! The addresses that checks may reach. Tenants choose the endpoints, so without a guard a check would give
//! them access to the network of the worker: the metadata service of the cloud, the database, other services.
//! The guard checks addresses and never names, so it must be given the addresses to which connections are
//! made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Checks addresses. Internal addresses are rejected, except in the networks that an operator allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

/// An address that checks may not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("checks may not reach {address}: {kind}")]
pub struct Internal {
    /// The address.
    pub address: IpAddr,
    /// The kind of address.
    pub kind: &'static str,
}

/// IPv4 addresses outside of the public internet: the entries of IANA's special-purpose registry (RFC 6890
/// and later) that are not globally reachable, multicast, and one more.
const INTERNAL_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared behind a carrier's NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    // Public by its number, but each virtual machine in Azure finds its host there.
    (v4(168, 63, 129, 16, 32), "a cloud's host"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// IPv6 addresses within `2000::/3` that are not public. No address outside of it is.
const INTERNAL_V6: [(Ipv6Net, &str); 3] = [
    // With Teredo (2001::/32), benchmarking and ORCHID.
    (v6([0x2001, 0, 0], 23), "reserved for protocols"),
    (v6([0x2001, 0xdb8, 0], 32), "documentation"),
    (v6([0x3fff, 0, 0], 20), "documentation"),
];

/// The kinds of addresses outside of `2000::/3`.
const OUTSIDE_V6: [(Ipv6Net, &str); 8] = [
    (v6([0, 0, 0], 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6([0, 0, 0], 96), "compatible with IPv4"),
    (v6([0x64, 0xff9b, 1], 48), "translated to IPv4 locally"),
    (v6([0xfc00, 0, 0], 7), "unique-local"),
    (v6([0xfe80, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0], 8), "multicast"),
];

const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0], 3);
/// NAT64 (RFC 6052): the last 32 bits are the IPv4 address that is reached.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0], 96);
/// 6to4 (RFC 3056): the 32 bits after the prefix are.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0], 16);

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b, c]: [u16; 3], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

impl Guard {
    /// Reads the internal networks that checks can reach, such as `10.0.0.0/8,fd00::/8`. An empty text means
    /// none.
    pub fn parse(allowed: &str) -> Result<Self, String> {
        let parts = allowed.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network = |part: &str| {
            part.parse().map_err(|_| format!("expected networks such as 10.0.0.0/8,fd00::/8, found {part:?}"))
        };
        Ok(Self { allowed: parts.map(network).collect::<Result<_, _>>()? })
    }

    /// Whether checks may reach `address`.
    pub fn check(&self, address: IpAddr) -> Result<(), Internal> {
        // The connection to an IPv4 address in IPv6 notation uses IPv4.
        let canonical = address.to_canonical();
        if self.allowed.iter().any(|network| network.contains(&canonical)) {
            return Ok(());
        }
        let refuse = |kind| Err(Internal { address, kind });
        match canonical {
            IpAddr::V4(v4) => match kind_of(&INTERNAL_V4, |network| network.contains(&v4)) {
                Some(kind) => refuse(kind),
                None => Ok(()),
            },
            IpAddr::V6(v6) => match embedded(v6) {
                Some(v4) => {
                    self.check(v4.into()).map_err(|internal| Internal { address, kind: internal.kind })
                }
                None if !PUBLIC_V6.contains(&v6) => {
                    refuse(kind_of(&OUTSIDE_V6, |network| network.contains(&v6)).unwrap_or("reserved"))
                }
                None => match kind_of(&INTERNAL_V6, |network| network.contains(&v6)) {
                    Some(kind) => refuse(kind),
                    None => Ok(()),
                },
            },
        }
    }
}

fn kind_of<N>(table: &[(N, &'static str)], contains: impl Fn(&N) -> bool) -> Option<&'static str> {
    table.iter().find(|(network, _)| contains(network)).map(|(_, kind)| *kind)
}

/// The IPv4 address that a router on the way translates an IPv6 address to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    let four = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    if NAT64.contains(&address) {
        Some(four(12))
    } else if SIX_TO_FOUR.contains(&address) {
        Some(four(2))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(guard: &Guard, address: &str) -> Option<&'static str> {
        guard.check(address.parse().unwrap()).err().map(|internal| internal.kind)
    }

    #[test]
    fn internal_addresses_are_refused() {
        for (expected, addresses) in [
            ("unspecified", "0.0.0.0 0.1.2.3 ::"),
            ("private", "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255"),
            ("shared behind a carrier's NAT", "100.64.0.0 100.100.100.200 100.127.255.255"),
            ("loopback", "127.0.0.1 127.255.255.255 ::1"),
            ("link-local", "169.254.0.1 169.254.169.254 fe80::1 febf:ffff::1"),
            ("reserved for protocols", "192.0.0.8 192.0.0.192 2001:10::1 2001:20::1 2001:1ff::"),
            ("documentation", "192.0.2.1 198.51.100.1 203.0.113.255 2001:db8::1 3fff::1 3fff:fff::1"),
            ("6to4 relay", "192.88.99.1"),
            ("benchmarking", "198.18.0.1 198.19.255.255"),
            ("a cloud's host", "168.63.129.16"),
            ("multicast", "224.0.0.1 239.255.255.255 ff02::1 ff0e::1"),
            ("reserved or broadcast", "240.0.0.1 255.255.255.254 255.255.255.255"),
            ("unique-local", "fc00::1 fd00:ec2::254 fdff::1"),
            ("site-local", "fec0::1 feff::1"),
            ("reserved", "100::1 64:ff9a::1 1fff::1 4000::1 5f00::1 fb00::1 fe00::1 ::ffff:0:7f00:1"),
            // IPv4 within IPv6: mapped, compatible, NAT64, 6to4, Teredo, and local NAT64.
            ("loopback", "::ffff:127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::1"),
            (
                "private",
                "::ffff:10.1.2.3 ::ffff:192.168.1.1 64:ff9b::10.1.2.3 2002:a01:203::1 2002:c0a8:101::",
            ),
            ("link-local", "::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::"),
            ("compatible with IPv4", "::127.0.0.1 ::10.0.0.1 ::8.8.8.8"),
            ("reserved for protocols", "2001::1 2001:0:7f00:1::f5ff:fffe 2001:0:808:808::1"),
            ("translated to IPv4 locally", "64:ff9b:1::10.0.0.1 64:ff9b:1:ffff::808:808"),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(kind(&Guard::default(), address), Some(expected), "{address}");
            }
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        let addresses = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
            128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 \
            192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 168.63.129.15 168.63.129.17 \
            223.255.255.255 2001:200::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 2606:4700::1111 2a00:1450::1 \
            3ffe::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1";
        for address in addresses.split_whitespace() {
            assert_eq!(kind(&Guard::default(), address), None, "{address}");
        }
    }

    #[test]
    fn only_allowed_networks_are_reachable_in_every_notation() {
        let guard = Guard::parse("10.0.0.0/8, 127.0.0.1/32,fd00::/8,").unwrap();
        for address in
            ["10.1.2.3", "127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::10.1.2.3", "fd00::1", "1.1.1.1"]
        {
            assert_eq!(kind(&guard, address), None, "{address}");
        }
        for address in ["127.0.0.2", "192.168.0.1", "::1", "fc00::1", "64:ff9b::127.0.0.2", "169.254.169.254"]
        {
            assert!(kind(&guard, address).is_some(), "{address}");
        }
        let all = Guard::parse("0.0.0.0/0").unwrap();
        assert_eq!((kind(&all, "127.0.0.1"), kind(&all, "::1")), (None, Some("loopback")));
    }

    #[test]
    fn every_network_of_the_setting_must_be_valid() {
        assert_eq!(Guard::parse(""), Ok(Guard::default()));
        for text in ["10.0.0.0", "10.0.0.0/33", "localhost", "10.0.0.0/8;fd00::/8", "10.0.0/8"] {
            let expected = format!("expected networks such as 10.0.0.0/8,fd00::/8, found {text:?}");
            assert_eq!(Guard::parse(text), Err(expected));
        }
    }

    proptest! {
        #[test]
        fn no_spelling_of_an_ipv4_address_escapes_the_guard(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let guard = Guard::default();
            let plain = guard.check(v4.into()).is_ok();
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for (v6, expected) in [
                (v4.to_ipv6_mapped(), plain),
                (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), plain),
                (Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1), plain),
                (v4.to_ipv6_compatible(), false),
                (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low), false),
                (Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low), false),
            ] {
                prop_assert_eq!(guard.check(v6.into()).is_ok(), expected, "{}", v6);
            }
        }

        #[test]
        fn addresses_that_the_standard_library_calls_internal_are_refused(bits: u32, wide: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            let internal = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!internal || Guard::default().check(v4.into()).is_err());
            let v6 = Ipv6Addr::from_bits(wide);
            let internal = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast()
                || v6.is_loopback() || v6.is_unspecified();
            prop_assert!(!internal || Guard::default().check(v6.into()).is_err());
        }
    }
}
