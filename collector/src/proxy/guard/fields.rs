//! A section of header fields: a head after its first line, or trailers. Byte by byte, over any fragmentation.

use memchr::memchr2;

use crate::proxy::refusal::Refusal;

/// What a section belongs to, which decides what may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// A request's head.
    Request,
    /// The head of a pod's answer.
    Answer,
    /// What follows the last chunk of a request.
    Trailers,
}

/// Follows one section to its empty line and keeps what frames the message.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    section: Section,
    /// Whether the message is HTTP/1.0, which knows no transfer coding.
    is_old: bool,
    /// How many more fields there may be.
    left: usize,
    state: State,
    field: Field,
    name: Name,
    value: Value,
    framing: Option<Framing>,
    has_host: bool,
    has_upgrade: bool,
}

/// How the end of a message's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    LineStart,
    Name,
    Padding,
    Value,
    LineEnd,
    SectionEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Length,
    Coding,
    Other,
}

const CHUNKED: &[u8; 7] = b"chunked";

impl Fields {
    pub(super) fn new(section: Section, is_old: bool, fields: usize) -> Self {
        Self {
            section,
            is_old,
            left: fields,
            state: State::LineStart,
            field: Field::Other,
            name: Name::default(),
            value: Value::default(),
            framing: None,
            has_host: false,
            has_upgrade: false,
        }
    }

    /// What the one Content-Length or Transfer-Encoding says.
    pub(super) fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Whether there is a Host.
    pub(super) fn has_host(&self) -> bool {
        self.has_host
    }

    /// Whether there is an Upgrade that counts, which it does not in HTTP/1.0.
    pub(super) fn has_upgrade(&self) -> bool {
        self.has_upgrade
    }

    /// Reads on; says how many bytes were read, and whether the section ended with them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::LineStart => at += self.read_line_start(byte)?,
                State::Name => at += self.read_name(&bytes[at..])?,
                State::Padding if matches!(byte, b' ' | b'\t') => {
                    // White space of any kind is legal here, but some take only a space for it; where the
                    // framing hangs on it, nothing else will do.
                    if byte == b'\t' && self.field != Field::Other {
                        return Err(self.framing_fault());
                    }
                    at += 1;
                }
                State::Padding => self.state = State::Value,
                State::Value => at += self.read_value(&bytes[at..])?,
                State::LineEnd if byte == b'\n' => {
                    self.state = State::LineStart;
                    at += 1;
                }
                State::SectionEnd if byte == b'\n' => return Ok((at + 1, true)),
                State::LineEnd | State::SectionEnd => return Err(Refusal::BareCr),
            }
        }
        Ok((at, false))
    }

    fn read_line_start(&mut self, byte: u8) -> Result<usize, Refusal> {
        match byte {
            b'\r' => {
                self.state = State::SectionEnd;
                Ok(1)
            }
            b'\n' => Err(Refusal::BareLf),
            b' ' | b'\t' => Err(Refusal::ObsFold),
            _ => {
                self.left = self.left.checked_sub(1).ok_or(Refusal::Headers)?;
                self.name = Name::default();
                self.state = State::Name;
                Ok(0)
            }
        }
    }

    fn read_name(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        for (at, &byte) in bytes.iter().enumerate() {
            if is_token(byte) {
                self.name.push(byte);
                continue;
            }
            return match byte {
                b':' if self.name.length > 0 => {
                    self.recognise()?;
                    self.state = State::Padding;
                    Ok(at + 1)
                }
                b'\n' => Err(Refusal::BareLf),
                _ => Err(Refusal::HeaderName),
            };
        }
        Ok(bytes.len())
    }

    /// Takes note of a name that is whole.
    fn recognise(&mut self) -> Result<(), Refusal> {
        self.field = Field::Other;
        self.value = Value::default();
        match (self.section, self.name.whole()) {
            (Section::Trailers, _) if self.name.is_forbidden_trailer() => {
                return Err(Refusal::Trailer);
            }
            (Section::Trailers, _) => {}
            (_, b"content-length") => {
                match self.framing {
                    Some(Framing::Chunked) => return Err(Refusal::BothLengths),
                    Some(Framing::Length(_)) => return Err(Refusal::ContentLength),
                    // Gateways such as WSGI's cannot tell `content_length` from the real one.
                    None if self.name.is_underscored => return Err(Refusal::ContentLength),
                    None => self.field = Field::Length,
                }
            }
            (_, b"transfer-encoding") => match self.framing {
                Some(Framing::Length(_)) => return Err(Refusal::BothLengths),
                Some(Framing::Chunked) => return Err(Refusal::TransferEncoding),
                None if self.is_old || self.name.is_underscored => {
                    return Err(Refusal::TransferEncoding);
                }
                None => self.field = Field::Coding,
            },
            (Section::Request, b"host") if self.has_host => return Err(Refusal::HostTwice),
            (Section::Request, b"host") => self.has_host = true,
            (Section::Request, b"upgrade") => self.has_upgrade = !self.is_old,
            _ => {}
        }
        Ok(())
    }

    fn read_value(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let end = memchr2(b'\r', b'\n', bytes);
        let value = &bytes[..end.unwrap_or(bytes.len())];
        match self.field {
            Field::Other if value.iter().copied().any(is_control) => {
                return Err(Refusal::HeaderValue);
            }
            Field::Other => {}
            Field::Length => self.value.read_length(value)?,
            Field::Coding => self.value.read_coding(value)?,
        }
        let Some(end) = end else { return Ok(bytes.len()) };
        if bytes[end] == b'\n' {
            return Err(Refusal::BareLf);
        }
        match self.field {
            Field::Other => {}
            Field::Length => self.framing = Some(self.value.length()?),
            Field::Coding => self.framing = Some(self.value.coding()?),
        }
        self.state = State::LineEnd;
        Ok(end + 1)
    }

    fn framing_fault(&self) -> Refusal {
        match self.field {
            Field::Length => Refusal::ContentLength,
            Field::Coding => Refusal::TransferEncoding,
            Field::Other => Refusal::HeaderValue,
        }
    }
}

/// The value of a field that frames the message.
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    number: u64,
    digits: u8,
    /// How much of `chunked` was read.
    coding: usize,
    /// A space has been, after which only the line's end may come.
    is_padded: bool,
}

impl Value {
    fn read_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for &byte in value {
            match byte {
                b'0'..=b'9' if !self.is_padded => {
                    self.push(byte - b'0').ok_or(Refusal::ContentLength)?;
                }
                b' ' => self.is_padded = true,
                _ => return Err(Refusal::ContentLength),
            }
        }
        Ok(())
    }

    fn read_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for &byte in value {
            match CHUNKED.get(self.coding) {
                _ if byte == b' ' => self.is_padded = true,
                Some(expected) if !self.is_padded && byte.to_ascii_lowercase() == *expected => {
                    self.coding += 1;
                }
                _ => return Err(Refusal::TransferEncoding),
            }
        }
        Ok(())
    }

    /// A decimal number as everybody reads it: no sign, no leading zero (an octal number to some), below 2^63.
    fn push(&mut self, digit: u8) -> Option<()> {
        if self.digits > 0 && self.number == 0 {
            return None;
        }
        self.number = self.number.checked_mul(10)?.checked_add(u64::from(digit))?;
        self.digits += 1;
        (self.number <= i64::MAX.unsigned_abs()).then_some(())
    }

    fn length(self) -> Result<Framing, Refusal> {
        if self.digits > 0 { Ok(Framing::Length(self.number)) } else { Err(Refusal::ContentLength) }
    }

    fn coding(self) -> Result<Framing, Refusal> {
        let is_whole = self.coding == CHUNKED.len();
        if is_whole { Ok(Framing::Chunked) } else { Err(Refusal::TransferEncoding) }
    }
}

/// Whether the field may not be in trailers; the name is in any case.
pub(crate) fn is_forbidden_trailer(name: &[u8]) -> bool {
    let mut read = Name::default();
    for byte in name {
        read.push(*byte);
    }
    read.is_forbidden_trailer()
}

/// The begin of a field's name in lower case, with `-` for `_`, and how long it is in all.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    begin: [u8; 24],
    length: usize,
    is_underscored: bool,
}

impl Name {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.begin.get_mut(self.length) {
            self.is_underscored |= byte == b'_';
            *slot = if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
        }
        self.length += 1;
    }

    /// Empty when it is longer than any name that matters.
    fn whole(&self) -> &[u8] {
        self.begin.get(..self.length).unwrap_or_default()
    }

    /// Whether it frames, routes, authorises or describes a message: a receiver that merges trailers into the head
    /// would believe it (RFC 9110, 6.5.1).
    fn is_forbidden_trailer(&self) -> bool {
        const BEGINS: [&[u8]; 4] = [b"x-forwarded-", b"proxy-", b"if-", b"sec-"];
        let begin = &self.begin[..self.length.min(self.begin.len())];
        BEGINS.iter().any(|forbidden| begin.starts_with(forbidden))
            || matches!(
                self.whole(),
                b"transfer-encoding"
                    | b"content-length"
                    | b"content-encoding"
                    | b"content-type"
                    | b"content-range"
                    | b"host"
                    | b"connection"
                    | b"keep-alive"
                    | b"te"
                    | b"trailer"
                    | b"upgrade"
                    | b"expect"
                    | b"range"
                    | b"max-forwards"
                    | b"cache-control"
                    | b"pragma"
                    | b"authorization"
                    | b"www-authenticate"
                    | b"cookie"
                    | b"set-cookie"
                    | b"forwarded"
                    | b"x-real-ip"
                    | b"origin"
                    | b"location"
                    | b"age"
                    | b"date"
                    | b"expires"
                    | b"retry-after"
                    | b"vary"
                    | b"warning"
            )
    }
}

/// Whether a byte may stand in a token (RFC 9110, 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    TOKENS[usize::from(byte)]
}

const TOKENS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// Whether a byte may not stand in a value: a control other than a tab.
pub(super) fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}
