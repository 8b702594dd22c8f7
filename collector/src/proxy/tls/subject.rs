//! Who a client certificate is for, as text.

use std::fmt::Write;

use http::HeaderValue;
use ring::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// A verified client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject, as RFC 4514 writes it (`CN=alice,O=Shop`); printable ASCII only.
    pub subject: Box<str>,
    /// Its serial number, in hexadecimal digits.
    pub serial: Box<str>,
    /// The SHA-256 of all of it, in hexadecimal digits.
    pub fingerprint: Box<str>,
}

impl ClientCertificate {
    /// `None` for what is no certificate, which no verified one is.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: text(parsed.subject()).into(),
            serial: hex(parsed.raw_serial()),
            fingerprint: hex(digest::digest(&digest::SHA256, der).as_ref()),
        })
    }

    /// As `X-Forwarded-Client-Cert` tells it to the pod, in the words that Envoy uses.
    #[must_use]
    pub fn forwarded(&self) -> HeaderValue {
        let subject = self.subject.replace('\\', "\\\\").replace('"', "\\\"");
        let text =
            format!("Hash={};Serial={};Subject=\"{subject}\"", self.fingerprint, self.serial);
        value(text)
    }
}

/// Of a name that was escaped.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("printable ASCII only")
}

/// A name as RFC 4514 writes it: the most specific part first, with whatever could be taken for a separator escaped.
/// The parser's own text escapes nothing: a common name of `x, O=Shop` would look like two parts.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (at, part) in parts.into_iter().rev().enumerate() {
        if at > 0 {
            text.push(',');
        }
        for (at, attribute) in part.iter().enumerate() {
            if at > 0 {
                text.push('+');
            }
            match oid2abbrev(attribute.attr_type(), oid_registry()) {
                Ok(abbreviation) => text.push_str(abbreviation),
                Err(_) => text.push_str(&attribute.attr_type().to_id_string()),
            }
            text.push('=');
            escape(attribute.as_slice(), &mut text);
        }
    }
    text
}

fn escape(value: &[u8], text: &mut String) {
    let last = value.len().wrapping_sub(1);
    for (at, &byte) in value.iter().enumerate() {
        let is_edge = (at == 0 && matches!(byte, b' ' | b'#')) || (at == last && byte == b' ');
        if is_edge || b",+\"\\<>;=".contains(&byte) {
            text.push('\\');
            text.push(char::from(byte));
        } else if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:02X}");
        }
    }
}

fn hex(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_parts_is_escaped_within_them() {
        for (value, expected) in [
            (&b"alice"[..], "alice"),
            (b"x, O=Shop", "x\\, O\\=Shop"),
            (b"a+b\"c\\", "a\\+b\\\"c\\\\"),
            (b" #a ", "\\ #a\\ "),
            (b"a\r\nb\x00", "a\\0D\\0Ab\\00"),
            ("\u{fc}".as_bytes(), "\\C3\\BC"),
            (b"", ""),
        ] {
            let mut text = String::new();
            escape(value, &mut text);
            assert_eq!(text, expected);
        }
    }
}
