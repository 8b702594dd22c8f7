//! Hosts, as requests and routes name them.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Longest name that DNS knows.
const MAX_NAME: usize = 253;
/// Longest label of one.
const MAX_LABEL: usize = 63;

/// Host and port of a `Host` header or an authority: the host in lower case and without the dot that may end it, an
/// IPv6 address in its brackets. `None` for anything else: what two parties read differently leads around routes.
#[must_use]
pub fn host(text: &str) -> Option<(Cow<'_, str>, Option<u16>)> {
    let (name, rest) = if text.starts_with('[') {
        let (literal, rest) = text.split_at(text.find(']')? + 1);
        let address = literal.strip_prefix('[')?.strip_suffix(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        (literal, rest)
    } else {
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        let name = name.strip_suffix('.').unwrap_or(name);
        if !is_name(name) {
            return None;
        }
        (name, rest)
    };
    let port = match rest {
        "" => None,
        rest => Some(port(rest.strip_prefix(':')?)?),
    };
    Some((lower(name), port))
}

/// Whether this is a name that DNS could know: labels of letters, digits, `-` and `_`. IPv4 addresses are.
pub(super) fn is_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.len() <= MAX_NAME
        && name
            .split('.')
            .all(|label| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_legal))
}

fn port(digits: &str) -> Option<u16> {
    // `parse` would take a sign.
    let is_plain = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_plain && *port != 0)
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
