//! Forwarding headers: who the client is, and what the pod is told about it.
//!
//! Only trusted peers are believed. What anyone else sent of these headers is removed, in every spelling that an
//! application could take for them. Which peers are trusted is the settings' business, how `Forwarded` is written
//! is [`element`]'s.

pub mod element;
mod write;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// The client certificate that was verified here, as [`ClientCertificate::forwarded`] writes it.
///
/// [`ClientCertificate::forwarded`]: super::tls::ClientCertificate::forwarded
pub const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// How the client speaks to the first proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In plain text.
    Http,
    /// With TLS.
    Https,
}

/// The addresses whose forwarding headers are believed. A clone is the same list.
#[derive(Clone, Debug)]
pub struct Trust(Arc<[IpNet]>);

/// Who sent a request, as far as trusted peers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address: the nearest one that is not a trusted peer's.
    pub ip: IpAddr,
    /// How it spoke to the first trusted proxy.
    pub scheme: Scheme,
    /// The host it asked that proxy for, if a trusted peer says so.
    pub host: Option<HeaderValue>,
}

/// The other end of a connection, with all that can be worked out before a request comes.
#[derive(Clone, Debug)]
pub struct Peer {
    trust: Trust,
    is_trusted: bool,
    /// Another one passes its connection on, and that one is trusted.
    is_vouched_for: bool,
    ip: IpAddr,
    scheme: Scheme,
    certificate: Option<HeaderValue>,
    /// The address as `X-Forwarded-For` has it.
    ip_value: HeaderValue,
    /// The address as `Forwarded` has it.
    node: Box<str>,
}

impl Scheme {
    /// As `X-Forwarded-Proto` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name.as_bytes());
        // Some proxies name the protocol of a WebSocket's handshake.
        match () {
            () if is("https") || is("wss") => Some(Self::Https),
            () if is("http") || is("ws") => Some(Self::Http),
            () => None,
        }
    }
}

impl Trust {
    /// These.
    #[must_use]
    pub fn new(nets: &[IpNet]) -> Self {
        Self(nets.into())
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }

    /// Goes through the hops from the nearest on, past the trusted ones: the first other address, and how many hops
    /// that took. A hop without an address (`unknown`, `_hidden`) ends the way at the last known one.
    fn walk(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> (IpAddr, usize) {
        let (mut ip, mut taken) = (peer, 0);
        for hop in hops {
            taken += 1;
            let Some(found) = hop else { break };
            ip = found;
            if !self.holds(found) {
                break;
            }
        }
        (ip, taken)
    }
}

impl Peer {
    /// The peer at this address, which the PROXY protocol may have told. `certificate` is what the pod is told of a
    /// verified client certificate.
    #[must_use]
    pub fn new(
        trust: &Trust,
        address: SocketAddr,
        tls: bool,
        certificate: Option<HeaderValue>,
    ) -> Self {
        let ip = address.ip().to_canonical();
        Self {
            trust: trust.clone(),
            is_trusted: trust.holds(ip),
            is_vouched_for: false,
            ip,
            scheme: if tls { Scheme::Https } else { Scheme::Http },
            certificate,
            ip_value: write::address(ip),
            node: write::node(ip),
        }
    }

    /// The same where the PROXY protocol told the address: this is who told it. Of what such a one adds to the
    /// requests the scheme is believed if it is trusted; who the client is, it has said already.
    #[must_use]
    pub fn told_by(mut self, balancer: SocketAddr) -> Self {
        self.is_vouched_for = self.trust.holds(balancer.ip());
        self
    }

    /// Whether its forwarding headers are believed.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Who sent a request with these headers. Asks `X-Forwarded-For`, then `Forwarded`, then `X-Real-IP`: the first
    /// that is there, since load balancers that write one of them pass on the others as the client wrote them.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap) -> Client {
        let mut client = Client { ip: self.ip, scheme: self.scheme, host: None };
        if !self.is_trusted {
            if self.is_vouched_for {
                client.scheme = told_scheme(headers).unwrap_or(client.scheme);
            }
            return client;
        }
        if headers.contains_key(X_FORWARDED_FOR) {
            let hops = headers.get_all(X_FORWARDED_FOR).iter().rev();
            let hops = hops.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
            client.ip = self.trust.walk(self.ip, hops.map(element::address)).0;
        } else if headers.contains_key(FORWARDED) {
            self.ask_forwarded(headers, &mut client);
        } else if let Some(ip) =
            headers.get(X_REAL_IP).and_then(|value| element::address(value.as_bytes()))
        {
            client.ip = ip;
        }
        client.scheme = told_scheme(headers).unwrap_or(client.scheme);
        if let Some(host) = headers.get(X_FORWARDED_HOST) {
            client.host = Some(host.clone());
        }
        client
    }

    fn ask_forwarded(&self, headers: &HeaderMap, client: &mut Client) {
        let mut elements = Vec::new();
        for value in headers.get_all(FORWARDED) {
            match value.to_str().ok().and_then(element::parse) {
                Some(more) => elements.extend(more),
                // What stands left of something malformed cannot be told from a forgery.
                None => elements.clear(),
            }
        }
        let hops = elements.iter().rev().map(element::Element::address);
        let (ip, taken) = self.trust.walk(self.ip, hops);
        client.ip = ip;
        if let Some(element) = elements.len().checked_sub(taken).and_then(|at| elements.get(at)) {
            let proto = element.proto.as_deref();
            client.scheme =
                proto.and_then(|it| Scheme::parse(it.as_bytes())).unwrap_or(client.scheme);
            client.host = element.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
        }
    }
}

/// Of several the first is the one the client met.
fn told_scheme(headers: &HeaderMap) -> Option<Scheme> {
    let value = headers.get(X_FORWARDED_PROTO)?.as_bytes();
    Scheme::parse(value.split(|&byte| byte == b',').next()?.trim_ascii())
}

#[cfg(test)]
mod tests;
