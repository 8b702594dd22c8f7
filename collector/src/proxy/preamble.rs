//! The PROXY protocol: what a load balancer says of the client before the client's own first byte.
//!
//! Reads version 1 (text) and 2 (binary) of `HAProxy`'s `proxy-protocol.txt`. Framing and bounds are ours, since they
//! decide what is read of a stranger's connection; what stands between them is parsed by `ppp`. From whom a header
//! is expected is the caller's business: where it is, it must be there.

mod rewound;

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

pub use rewound::Rewound;

use super::refusal::Refusal;

const V1: &[u8] = b"PROXY ";
const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN";
/// The longest line of version 1, its end included.
const V1_MOST: usize = 107;
const V2: &[u8] = v2::PROTOCOL_PREFIX;
/// Up to and with the length of the rest.
const V2_FIXED: usize = 16;
/// The longest rest of version 2 that is read: addresses take 216 bytes at most, and what cloud load balancers add
/// (an id, the TLS names) stays below a few hundred.
const V2_MOST: usize = 2048;
/// Enough for a header without additions; more is asked for when the header says so.
const FIRST: usize = 256;

/// What was said of a connection, and what came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// The client's address; `None` when the peer speaks for itself (a health check) or does not know.
    pub source: Option<SocketAddr>,
    /// What was read beyond the header, for [`Rewound`].
    pub rest: Bytes,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The start of a header of at least this many bytes.
    Part(usize),
    /// A header.
    Whole {
        /// Its bytes.
        length: usize,
        /// The client's address, if it names one.
        source: Option<SocketAddr>,
    },
}

/// Reads the header. How long that may take is the caller's business.
///
/// # Errors
/// [`Refusal::ProxyProtocol`] when there is none, it is malformed or too long, or the connection ends within it.
pub async fn read<T: AsyncRead + Unpin>(io: &mut T) -> Result<Preamble, Refusal> {
    let mut seen = BytesMut::with_capacity(FIRST);
    loop {
        let needed = match parse(&seen)? {
            Parsed::Whole { length, source } => {
                let rest = seen.split_off(length).freeze();
                return Ok(Preamble { source, rest });
            }
            Parsed::Part(needed) => needed,
        };
        let room = needed.max(FIRST) - seen.len();
        let read = io.read_buf(&mut (&mut seen).limit(room)).await;
        // An error of the connection and its end are the same here: there is no header.
        if !read.is_ok_and(|bytes| bytes > 0) {
            return Err(Refusal::ProxyProtocol);
        }
    }
}

/// Looks for a header at the start of these bytes. The first byte that cannot belong to one is the last looked at.
///
/// # Errors
/// [`Refusal::ProxyProtocol`] when no further bytes could make it a header.
pub fn parse(seen: &[u8]) -> Result<Parsed, Refusal> {
    let starts = |prefix: &[u8]| {
        let common = seen.len().min(prefix.len());
        seen[..common] == prefix[..common]
    };
    if starts(V2) {
        parse_v2(seen)
    } else if starts(V1) {
        parse_v1(seen)
    } else {
        Err(Refusal::ProxyProtocol)
    }
}

fn parse_v1(seen: &[u8]) -> Result<Parsed, Refusal> {
    let window = &seen[..seen.len().min(V1_MOST)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if seen.len() < V1_MOST {
            Ok(Parsed::Part(seen.len() + 1))
        } else {
            Err(Refusal::ProxyProtocol)
        };
    };
    let line = &window[..=end];
    // What follows UNKNOWN is to be ignored, so it is not parsed either.
    let is_unknown = line.starts_with(V1_UNKNOWN)
        && matches!(line[V1_UNKNOWN.len()], b' ' | b'\r')
        && memchr::memchr(b'\r', line) == Some(end - 1);
    if is_unknown {
        return Ok(Parsed::Whole { length: line.len(), source: None });
    }
    // `ppp` takes ports as Rust does, with a sign.
    if memchr::memchr(b'+', line).is_some() {
        return Err(Refusal::ProxyProtocol);
    }
    let source = match v1::Header::try_from(line) {
        // A carriage return within the line would end the header there for `ppp`.
        Ok(header) if header.header.len() == line.len() => match header.addresses {
            v1::Addresses::Tcp4(it) => address(it.source_address.into(), it.source_port),
            v1::Addresses::Tcp6(it) => address(it.source_address.into(), it.source_port),
            v1::Addresses::Unknown => None,
        },
        _ => return Err(Refusal::ProxyProtocol),
    };
    Ok(Parsed::Whole { length: line.len(), source })
}

fn parse_v2(seen: &[u8]) -> Result<Parsed, Refusal> {
    const LOCAL: u8 = 0x20;
    if seen.len() < V2_FIXED {
        return Ok(Parsed::Part(V2_FIXED));
    }
    let rest = usize::from(u16::from_be_bytes([seen[14], seen[15]]));
    if rest > V2_MOST {
        return Err(Refusal::ProxyProtocol);
    }
    let length = V2_FIXED + rest;
    if seen.len() < length {
        return Ok(Parsed::Part(length));
    }
    // What follows LOCAL is to be ignored whatever it is, the family among it.
    if seen[12] == LOCAL {
        return Ok(Parsed::Whole { length, source: None });
    }
    let header = v2::Header::try_from(&seen[..length]).map_err(|_| Refusal::ProxyProtocol)?;
    let source = match (header.addresses, header.protocol) {
        (v2::Addresses::IPv4(it), v2::Protocol::Stream) => {
            address(it.source_address.into(), it.source_port)
        }
        (v2::Addresses::IPv6(it), v2::Protocol::Stream) => {
            address(it.source_address.into(), it.source_port)
        }
        (v2::Addresses::Unspecified | v2::Addresses::Unix(_), _) => None,
        // Datagrams do not come over this connection.
        _ => return Err(Refusal::ProxyProtocol),
    };
    Ok(Parsed::Whole { length, source })
}

/// An address of nobody is none: such a client would share its bounds with every other one like it.
fn address(ip: IpAddr, port: u16) -> Option<SocketAddr> {
    let ip = ip.to_canonical();
    (!ip.is_unspecified()).then(|| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests;
