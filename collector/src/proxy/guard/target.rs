//! What a request asks for: a path, `*`, an absolute URL of http or https, or an authority for CONNECT (RFC 9112, 3.2).
//!
//! Only the form is judged, and as narrowly as hyper judges it or narrower: what hyper cannot take as a URI it answers
//! by itself, without a word to the service. Whether the authority is the right one is for the forwarder to say.

use crate::proxy::refusal::Refusal;

/// Follows one target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    part: Part,
    bytes: usize,
    is_connect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Begin,
    Asterisk,
    /// So many bytes of `http`.
    Scheme(usize),
    /// Behind `https`.
    Colon,
    FirstSlash,
    SecondSlash,
    AuthorityBegin,
    Name,
    /// An IPv6 address in brackets.
    Bracketed,
    BracketedEnd,
    Port(u8),
    Path,
    Query,
}

impl Target {
    pub(super) fn new(is_connect: bool) -> Self {
        let part = if is_connect { Part::AuthorityBegin } else { Part::Begin };
        Self { part, bytes: 0, is_connect }
    }

    /// How many bytes it has.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }

    /// Reads one printable byte.
    pub(super) fn read(&mut self, byte: u8) -> Result<(), Refusal> {
        self.part = self.behind(byte).ok_or(Refusal::Target)?;
        self.bytes += 1;
        Ok(())
    }

    /// Whether it may end here.
    pub(super) fn end(self) -> Result<(), Refusal> {
        let is_whole = matches!(
            self.part,
            Part::Asterisk
                | Part::Name
                | Part::BracketedEnd
                | Part::Port(1..)
                | Part::Path
                | Part::Query
        );
        if is_whole { Ok(()) } else { Err(Refusal::Target) }
    }

    fn behind(self, byte: u8) -> Option<Part> {
        match (self.part, byte) {
            (Part::Begin, b'/') => Some(Part::Path),
            (Part::Begin, b'*') => Some(Part::Asterisk),
            (Part::Begin, b'h' | b'H') => Some(Part::Scheme(1)),
            (Part::Scheme(4), b's' | b'S') => Some(Part::Colon),
            (Part::Scheme(4) | Part::Colon, b':') => Some(Part::FirstSlash),
            (Part::Scheme(at @ 1..4), _) => {
                (byte.to_ascii_lowercase() == b"http"[at]).then_some(Part::Scheme(at + 1))
            }
            (Part::FirstSlash, b'/') => Some(Part::SecondSlash),
            (Part::SecondSlash, b'/') => Some(Part::AuthorityBegin),
            (Part::AuthorityBegin, b'[') | (Part::Bracketed, b':' | b'.') => Some(Part::Bracketed),
            (Part::AuthorityBegin | Part::Name, b'-' | b'.' | b'_') => Some(Part::Name),
            (Part::AuthorityBegin | Part::Name, _) if byte.is_ascii_alphanumeric() => {
                Some(Part::Name)
            }
            (Part::Bracketed, _) if byte.is_ascii_hexdigit() => Some(Part::Bracketed),
            (Part::Bracketed, b']') => Some(Part::BracketedEnd),
            (Part::Name | Part::BracketedEnd, b':') => Some(Part::Port(0)),
            (Part::Port(digits @ 0..5), b'0'..=b'9') => Some(Part::Port(digits + 1)),
            (Part::Name | Part::BracketedEnd | Part::Port(1..), b'/') if !self.is_connect => {
                Some(Part::Path)
            }
            (Part::Path, b'?') => Some(Part::Query),
            // A fragment is no part of a target, and hyper would cut it off without a word.
            (Part::Path, b'#' | b'<' | b'>' | b'`') | (Part::Query, b'#' | b'<' | b'>' | b'"') => {
                None
            }
            (Part::Path | Part::Query, b'!'..=b'~') => Some(self.part),
            _ => None,
        }
    }
}
