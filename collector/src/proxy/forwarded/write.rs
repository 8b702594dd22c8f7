//! Writes the forwarding headers of a request to a pod.

use std::fmt::Write;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::{
    Client, Peer, Scheme, X_FORWARDED_CLIENT_CERT, X_FORWARDED_FOR, X_FORWARDED_HOST,
    X_FORWARDED_PORT, X_FORWARDED_PROTO, X_REAL_IP,
};

/// Longer than any address.
const ADDRESS: usize = 48;
/// Longer than what one `Forwarded` element has beside the address and the host.
const ELEMENT: usize = 64;

impl Peer {
    /// Tells the pod who the client is. `host` is the request's own.
    ///
    /// A trusted peer's headers are kept and added to, anybody else's are replaced; a `Forwarded` is only added to,
    /// since no pod needs to read the same in two ways. A client certificate is told only when it was verified
    /// here: peers are trusted with addresses, not with identities.
    ///
    /// Call it after [`strip_hop_by_hop`](crate::proxy::hop::strip_hop_by_hop), so that `Connection` cannot name
    /// what is written here.
    pub fn set(&self, headers: &mut HeaderMap, client: &Client, host: Option<&HeaderValue>) {
        self.remove_unbelieved(headers);
        if self.is_trusted {
            self.append_for(headers, client);
            self.append_forwarded(headers, host);
        } else {
            headers.insert(X_FORWARDED_FOR, self.ip_value.clone());
        }
        let ip = if client.ip == self.ip { self.ip_value.clone() } else { address(client.ip) };
        headers.insert(X_REAL_IP, ip);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.scheme.as_str()));
        let host = client.host.as_ref().or(host);
        if !(self.is_trusted && headers.contains_key(X_FORWARDED_PORT)) {
            headers.insert(X_FORWARDED_PORT, port(host, client.scheme));
        }
        if let Some(host) = host {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
        if let Some(certificate) = &self.certificate {
            headers.insert(X_FORWARDED_CLIENT_CERT, certificate.clone());
        }
    }

    fn remove_unbelieved(&self, headers: &mut HeaderMap) {
        // Names are cloned only when there is something to remove, which honest clients do not send.
        let unbelieved: Vec<HeaderName> =
            headers.keys().filter(|name| self.is_unbelieved(name.as_str())).cloned().collect();
        for name in &unbelieved {
            headers.remove(name);
        }
    }

    /// A proxy in front of us strips its own spelling only, so that even a trusted one's `X_Forwarded_For` is the
    /// client's. Applications behind CGI, WSGI or Rack cannot tell it from the other.
    fn is_unbelieved(&self, name: &str) -> bool {
        is_forwarding(name)
            && (!self.is_trusted || name.contains('_') || name == X_FORWARDED_CLIENT_CERT.as_str())
    }

    /// A peer that told the client in another header is written down with it, so that pods find it here too.
    fn append_for(&self, headers: &mut HeaderMap, client: &Client) {
        if !headers.contains_key(X_FORWARDED_FOR) && client.ip == self.ip {
            headers.insert(X_FORWARDED_FOR, self.ip_value.clone());
            return;
        }
        let mut text = joined(headers, &X_FORWARDED_FOR, 2 * ADDRESS);
        if !headers.contains_key(X_FORWARDED_FOR) {
            text.put_slice(address(client.ip).as_bytes());
            text.put_slice(b", ");
        }
        text.put_slice(self.ip_value.as_bytes());
        headers.insert(X_FORWARDED_FOR, value(text));
    }

    fn append_forwarded(&self, headers: &mut HeaderMap, host: Option<&HeaderValue>) {
        if !headers.contains_key(FORWARDED) {
            return;
        }
        let host = host.map_or(&b""[..], HeaderValue::as_bytes);
        let mut text = joined(headers, &FORWARDED, ELEMENT + self.node.len() + 2 * host.len());
        text.put_slice(b"for=");
        text.put_slice(self.node.as_bytes());
        if !host.is_empty() {
            text.put_slice(b";host=\"");
            for &byte in host {
                if matches!(byte, b'"' | b'\\') {
                    text.put_u8(b'\\');
                }
                text.put_u8(byte);
            }
            text.put_u8(b'"');
        }
        text.put_slice(b";proto=");
        text.put_slice(self.scheme.as_str().as_bytes());
        headers.insert(FORWARDED, value(text));
    }
}

/// Whether applications take this for a word about the client. Names are in lower case.
fn is_forwarding(name: &str) -> bool {
    const START: &[u8] = b"x-forwarded";
    const NAMES: [&[u8]; 10] = [
        b"forwarded",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-forwarded-for",
        b"x-scheme",
        b"x-url-scheme",
        b"front-end-https",
        b"true-client-ip",
        b"client-ip",
    ];
    let name = name.as_bytes();
    // CGI and its heirs turn both characters into the same.
    let same = |name: &[u8], known: &[u8]| {
        name.len() == known.len()
            && name.iter().zip(known).all(|(&a, &b)| a == b || (a == b'_' && b == b'-'))
    };
    match name.first() {
        Some(b'x') => {
            name.len() >= START.len() && same(&name[..START.len()], START)
                || NAMES.iter().any(|known| same(name, known))
        }
        Some(b'f' | b't' | b'c') => NAMES.iter().any(|known| same(name, known)),
        _ => false,
    }
}

/// All lines of a header as one, ready for one more item, with room for it.
fn joined(headers: &HeaderMap, name: &HeaderName, room: usize) -> BytesMut {
    let length: usize = headers.get_all(name).iter().map(|value| value.len() + 2).sum();
    let mut text = BytesMut::with_capacity(length + room);
    for value in
        headers.get_all(name).iter().filter(|value| !value.as_bytes().trim_ascii().is_empty())
    {
        text.put_slice(value.as_bytes());
        text.put_slice(b", ");
    }
    text
}

/// The port the client spoke to: its host names it, or it is the scheme's. The port that this proxy listens on is
/// another one wherever a Service, a host port or a load balancer stands in front.
fn port(host: Option<&HeaderValue>, scheme: Scheme) -> HeaderValue {
    let named = host.and_then(|host| {
        let (name, port) = host.as_bytes().split_at(memchr::memrchr(b':', host.as_bytes())?);
        let port = &port[1..];
        // The last part of a bare IPv6 address is no port.
        let is_address = name.contains(&b':') && !name.ends_with(b"]");
        let is_port = !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
        if is_address || !is_port { None } else { HeaderValue::from_bytes(port).ok() }
    });
    named.unwrap_or_else(|| {
        HeaderValue::from_static(match scheme {
            Scheme::Http => "80",
            Scheme::Https => "443",
        })
    })
}

/// An address as `X-Forwarded-For` has it.
pub(super) fn address(ip: IpAddr) -> HeaderValue {
    let mut text = BytesMut::with_capacity(ADDRESS);
    match ip {
        // By hand: a third of the time that the formatter takes, for each request behind a load balancer.
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    text.put_u8(b'.');
                }
                if octet >= 100 {
                    text.put_u8(b'0' + octet / 100);
                }
                if octet >= 10 {
                    text.put_u8(b'0' + octet / 10 % 10);
                }
                text.put_u8(b'0' + octet % 10);
            }
        }
        IpAddr::V6(ip) => {
            let _ = write!(text, "{ip}");
        }
    }
    value(text)
}

/// An address as `Forwarded` has it: IPv6 in brackets and quotes.
pub(super) fn node(ip: IpAddr) -> Box<str> {
    match ip {
        IpAddr::V4(ip) => ip.to_string().into(),
        IpAddr::V6(ip) => format!("\"[{ip}]\"").into(),
    }
}

/// Made of nothing but header values, addresses and our own words.
fn value(text: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.freeze()).expect("made of header values")
}
