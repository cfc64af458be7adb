//! Where a request may go: which addresses, and what the operator's rules say. Checked on the
//! address that is really dialled: literal ones before each hop, names in the resolver that the
//! connection uses, so that a second answer of the DNS cannot slip through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, io};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::egress::{Denied, EgressConfig};

/// What the configuration allows beyond public addresses, and what it does not allow.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) allow_private: bool,
    pub(super) allow: Vec<Cidr>,
    pub(super) egress: EgressConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Public,
    /// Loopback and private networks: what `allow_private` opens.
    Private,
    /// Link-local and metadata services, multicast, reserved: opened only by being listed.
    Special,
}

/// A refused request.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Blocked {
    #[error("{address} is {class}; list it under `allow` in [http] if it is meant")]
    Address { address: IpAddr, class: &'static str },
    #[error("{0}")]
    Rule(Denied),
}

impl Guard {
    /// Refuses what can be refused before a name is resolved.
    pub(super) fn check_name(&self, host: &str, port: u16) -> Result<(), Blocked> {
        self.egress.check_name(host, port).map_err(Blocked::Rule)
    }

    pub(super) fn check(&self, host: &str, port: u16, address: IpAddr) -> Result<(), Blocked> {
        let address = plain(address);
        self.check_class(address)?;
        self.egress.check(host, port, address).map_err(Blocked::Rule)
    }

    fn check_class(&self, address: IpAddr) -> Result<(), Blocked> {
        if self.allow.iter().any(|it| it.contains(address)) {
            return Ok(());
        }
        match class_of(address) {
            Class::Public => Ok(()),
            Class::Private if self.allow_private => Ok(()),
            Class::Private => {
                Err(Blocked::Address { address, class: "a loopback or private address" })
            }
            Class::Special => Err(Blocked::Address {
                address,
                class: "a link-local, metadata or reserved address",
            }),
        }
    }
}

/// Finds the addresses of a name.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's resolver.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|it| it.ip()).collect())
        })
    })
}

/// Resolves the names of the connections to one port, and gives only allowed addresses.
pub(super) struct GuardedResolver {
    pub(super) guard: Arc<Guard>,
    pub(super) lookup: Lookup,
    pub(super) port: u16,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, lookup, port) = (Arc::clone(&self.guard), self.lookup.clone(), self.port);
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            // One refused answer refuses the name: a mixed answer is how rebinding looks.
            for address in &found {
                guard.check(name.as_str(), port, *address)?;
            }
            Ok(Box::new(found.into_iter().map(|it| SocketAddr::new(it, 0))) as Addrs)
        })
    }
}

/// Unwraps the forms in which IPv6 carries an IPv4 address: mapped, compatible, NAT64, 6to4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let bytes = six.octets();
    let four = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]))
    };
    let nat64 = [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    let compatible = bytes[..12] == [0; 12]
        && u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) > 1;
    match six.to_ipv4_mapped() {
        Some(mapped) => IpAddr::V4(mapped),
        None if bytes[..12] == nat64 || compatible => four(12),
        None if bytes[..2] == [0x20, 0x02] => four(2),
        None => address,
    }
}

fn class_of(address: IpAddr) -> Class {
    const SPECIAL: [&str; 11] = [
        "169.254.0.0/16",
        "192.0.0.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "100.100.100.200/32", // The metadata service of a cloud, inside a private range.
        "fd00:ec2::254/128",  // The same of another one.
        "fe80::/10",
        "ff00::/8",
        "64:ff9b:1::/48",
        "2001::/32", // Teredo: carries an address that cannot be checked.
    ];
    const PRIVATE: [&str; 9] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fec0::/10",
    ];
    let within = |ranges: &[&str]| {
        ranges.iter().any(|it| it.parse::<Cidr>().expect("a constant range").contains(address))
    };
    if within(&SPECIAL) {
        Class::Special
    } else if within(&PRIVATE) {
        Class::Private
    } else {
        Class::Public
    }
}

/// A range of addresses, such as `10.0.0.0/8`; an address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

impl Cidr {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (base, address, width) = match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(it)) => {
                (u128::from(base.to_bits()), u128::from(it.to_bits()), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(it)) => (base.to_bits(), it.to_bits(), Ipv6Addr::BITS),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let host_bits = width - u32::from(self.bits);
        // A shift by the whole width, for a range of everything, is no number: all are equal.
        base.checked_shr(host_bits) == address.checked_shr(host_bits)
    }
}

/// A text that is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of addresses: write one such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidCidr(String);

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Cidr, InvalidCidr> {
        let invalid = || InvalidCidr(text.to_owned());
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, it)| (base, Some(it)));
        let base: IpAddr = base.parse().map_err(|_| invalid())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| invalid())?;
        if bits > width { Err(invalid()) } else { Ok(Cidr { base, bits }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cidr, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, allow_private: bool, allow: &[&str], expected: bool) {
        let allow = allow.iter().map(|it| it.parse().expect(it)).collect();
        let guard = Guard { allow_private, allow, egress: EgressConfig::default() };
        let found = guard.check(address, 80, address.parse().expect(address));
        assert_eq!(found.is_ok(), expected, "{address}: {found:?}");
    }

    #[test]
    fn public_addresses_are_open() {
        for address in ["93.184.215.14", "2606:4700::1111", "::ffff:93.184.215.14", "172.32.0.1"] {
            check(address, false, &[], true);
        }
    }

    #[test]
    fn loopback_and_private_addresses_are_closed_unless_allowed() {
        for address in [
            "127.0.0.1",
            "127.255.0.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "::1",
            "::",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            check(address, false, &[], false);
            check(address, true, &[], true);
        }
    }

    #[test]
    fn metadata_and_link_local_addresses_are_closed_unless_listed() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "224.0.0.1",
            "255.255.255.255",
            "fd00:ec2::254",
        ] {
            check(address, true, &["10.0.0.0/8"], false);
        }
        check("169.254.169.254", false, &["169.254.169.254"], true);
        check("::ffff:169.254.169.254", false, &["169.254.0.0/16"], true);
        check("fe80::1", false, &["fe80::/10"], true);
        check("127.0.0.1", false, &["0.0.0.0/0"], true);
    }

    #[test]
    fn what_is_not_a_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10/8", "::/129", "host/8", "1.2.3.4/-1", "1.2.3.4/"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert_eq!(
            "10.0.0.0/8".parse::<Cidr>().map(|it| it.to_string()),
            Ok("10.0.0.0/8".to_owned())
        );
    }
}
