//! How addresses and elements are written in forwarding headers: `Forwarded` of RFC 7239 and `X-Forwarded-For`.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One hop of a `Forwarded` header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element<'a> {
    /// `for`: who sent the request to the proxy that wrote this.
    pub node: Option<Cow<'a, str>>,
    /// `host`: what it asked for.
    pub host: Option<Cow<'a, str>>,
    /// `proto`: how.
    pub proto: Option<Cow<'a, str>>,
}

impl Element<'_> {
    /// The address of `for`, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        address(self.node.as_deref()?.as_bytes())
    }
}

/// An address as hops are written: with or without a port, IPv6 with or without brackets.
#[must_use]
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    let ip = if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        // RFC 7239 also allows an obfuscated port.
        let is_port = |port: &str| {
            !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?)
    } else {
        text.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip())).ok()?
    };
    Some(ip.to_canonical())
}

/// The elements of one `Forwarded` header, the farthest first; `None` when it is malformed.
///
/// White space around `;` and `=`, which the RFC does not allow, is taken all the same; a parameter that stands
/// twice is malformed, as it says.
#[must_use]
pub fn parse(value: &str) -> Option<Vec<Element<'_>>> {
    let mut rest = Rest(value);
    let mut elements = Vec::new();
    loop {
        rest.skip_space();
        if rest.take(',') {
            continue;
        }
        if rest.0.is_empty() {
            return Some(elements);
        }
        elements.push(rest.element()?);
    }
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Up to the next comma or the end, neither of which is taken.
    fn element(&mut self) -> Option<Element<'a>> {
        let mut element = Element::default();
        loop {
            self.skip_space();
            if !self.0.is_empty() && !self.0.starts_with([',', ';']) {
                self.pair(&mut element)?;
                self.skip_space();
            }
            if self.0.is_empty() || self.0.starts_with(',') {
                return Some(element);
            }
            if !self.take(';') {
                return None;
            }
        }
    }

    fn pair(&mut self, element: &mut Element<'a>) -> Option<()> {
        let name = self.token()?;
        self.skip_space();
        if !self.take('=') {
            return None;
        }
        self.skip_space();
        let value = if self.take('"') { self.quoted()? } else { Cow::Borrowed(self.node()?) };
        let known = [
            ("for", &mut element.node),
            ("host", &mut element.host),
            ("proto", &mut element.proto),
        ];
        for (known, slot) in known {
            if name.eq_ignore_ascii_case(known) && slot.replace(value.clone()).is_some() {
                return None;
            }
        }
        Some(())
    }

    /// A token, and beside that what common proxies write without the quotes it needs: addresses with ports.
    fn node(&mut self) -> Option<&'a str> {
        self.while_any(|byte| is_token(byte) || b":[]".contains(&byte))
    }

    fn token(&mut self) -> Option<&'a str> {
        self.while_any(is_token)
    }

    fn while_any(&mut self, accepts: impl Fn(u8) -> bool) -> Option<&'a str> {
        let end = self.0.bytes().position(|byte| !accepts(byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!taken.is_empty()).then_some(taken)
    }

    /// The rest of a quoted string after its first quote, with escapes taken away.
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let text = self.0;
        let mut unescaped: Option<String> = None;
        let mut chars = text.char_indices();
        while let Some((at, found)) = chars.next() {
            match found {
                '"' => {
                    self.0 = &text[at + 1..];
                    return Some(unescaped.map_or(Cow::Borrowed(&text[..at]), Cow::Owned));
                }
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    unescaped.get_or_insert_with(|| text[..at].to_owned()).push(escaped);
                }
                plain => {
                    if let Some(unescaped) = &mut unescaped {
                        unescaped.push(plain);
                    }
                }
            }
        }
        None
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn address_is_read_in_every_usual_spelling() {
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        for (text, expected) in [
            ("192.0.2.1", ip("192.0.2.1")),
            (" 192.0.2.1\t", ip("192.0.2.1")),
            ("192.0.2.1:443", ip("192.0.2.1")),
            ("2001:db8::1", ip("2001:db8::1")),
            ("[2001:db8::1]", ip("2001:db8::1")),
            ("[2001:db8::1]:443", ip("2001:db8::1")),
            ("[2001:db8::1]:_port", ip("2001:db8::1")),
            ("::ffff:192.0.2.1", ip("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("192.0.2", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:99999", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]443", None),
            ("fe80::1%eth0", None),
        ] {
            assert_eq!(address(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn elements_are_read_as_the_rfc_writes_them() {
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let parsed = parse(
            r#"for="_gazonk", For="[2001:db8:cafe::17]:4711" ,for=192.0.2.60;proto=http;by=203.0.113.43;host="a\"b""#,
        )
        .unwrap();
        let nodes: Vec<_> = parsed.iter().map(|element| element.node.as_deref().unwrap()).collect();
        assert_eq!(nodes, ["_gazonk", "[2001:db8:cafe::17]:4711", "192.0.2.60"]);
        assert_eq!(parsed[1].address(), ip("2001:db8:cafe::17"));
        assert_eq!(parsed[2].proto.as_deref(), Some("http"));
        assert_eq!(parsed[2].host.as_deref(), Some("a\"b"));
        assert_eq!(parsed[0].address(), None);
    }

    #[test]
    fn separators_within_quotes_separate_nothing() {
        let parsed = parse(r#"for="a, for=192.0.2.1;b""#).unwrap();
        assert_eq!(parsed.len(), 1);
        assert_eq!(parsed[0].node.as_deref(), Some("a, for=192.0.2.1;b"));
    }

    #[test]
    fn malformed_header_is_none_and_an_empty_one_is_empty() {
        for text in [
            "for",
            "for=",
            "for=\"a",
            "for=\"a\\",
            "=a",
            "for=a for=b",
            "for=a;for=b",
            "for=a\"b\"",
            "for=é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(" , ,").map(|elements| elements.len()), Some(0));
        assert_eq!(parse("for=a;;secret=x;").map(|elements| elements.len()), Some(1));
        assert_eq!(parse("for = 192.0.2.1:80").unwrap()[0].address(), "192.0.2.1".parse().ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[a-z =;,"\\\[\]:.é]{0,40}"#) {
            let _ = parse(&text);
            let _ = address(text.as_bytes());
        }

        #[test]
        fn any_quoted_text_comes_back(texts in proptest::collection::vec(".{0,12}", 1..4)) {
            let header: Vec<_> = texts
                .iter()
                .map(|text| format!("for=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let header = header.join(", ");
            let parsed = parse(&header).unwrap();
            let nodes: Vec<_> = parsed.iter().map(|element| element.node.as_deref().unwrap()).collect();
            prop_assert_eq!(nodes, texts);
        }

        #[test]
        fn any_address_comes_back(ip: IpAddr, port: u16) {
            prop_assert_eq!(address(ip.to_string().as_bytes()), Some(ip.to_canonical()));
            let with_port = SocketAddr::new(ip, port).to_string();
            prop_assert_eq!(address(with_port.as_bytes()), Some(ip.to_canonical()));
        }
    }
}
