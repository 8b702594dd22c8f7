//! Follows the bytes of one HTTP/1 connection from a client: head, body, head, body, over any fragmentation.
//!
//! Pure: no I/O, no clock, no allocation. Where a byte leaves two readings open it is refused, once and for all;
//! what a well-formed request asks for is not judged here. Source: RFC 9112.

use super::chunks::Chunks;
use super::fields::{Fields, Framing, Section, is_token};
use super::target::Target;
use crate::proxy::refusal::Refusal;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole head, with its request line and its empty line.
    pub head_bytes: usize,
    /// Header fields.
    pub headers: usize,
    /// Bytes of the target alone.
    pub target_bytes: usize,
}

/// What a call of [`Scanner::scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How many of the bytes, from the first on, may be passed on together with everything before them: all but the
    /// begin of a head that is not whole. Zero leaves those of an earlier call withheld as well.
    pub passed: usize,
    /// How many of them were looked at; what is behind an upgrade waits for [`Scanner::decide`].
    pub read: usize,
    /// Why the rest is refused. Nothing more is passed from then on.
    pub refusal: Option<Refusal>,
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// No request has begun that has not ended.
    Between,
    /// In a head.
    Head,
    /// In a body.
    Body,
    /// Behind a request that asks for an upgrade: what comes next depends on the answer.
    Undecided,
    /// Upgraded: the bytes are another protocol's.
    Raw,
    /// A request was refused.
    Refused,
}

/// The state of one connection.
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
    /// Heads that were read to their end and found good.
    requests: u64,
    /// Bytes of the head at hand.
    head: usize,
    method: Method,
    target: Target,
    version: [u8; 8],
    version_bytes: usize,
    fields: Fields,
    chunks: Chunks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a request; `skipped` when the one empty line that is allowed there has been.
    Between {
        skipped: bool,
    },
    SkippedLf,
    Method,
    Target,
    Version,
    /// Behind a request line without a version.
    OldLf,
    LineLf,
    Fields,
    Length(u64),
    Chunks,
    Undecided,
    Raw,
    Refused,
}

/// How long a method is, and how much of it is that of `CONNECT`, the one whose target has another form.
#[derive(Clone, Copy, Debug, Default)]
struct Method {
    bytes: usize,
    connect: usize,
}

impl Scanner {
    /// At the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Between { skipped: false },
            requests: 0,
            head: 0,
            method: Method::default(),
            target: Target::new(false),
            version: [0; 8],
            version_bytes: 0,
            fields: Fields::new(Section::Request, false, limits.headers),
            chunks: Chunks::new(),
        }
    }

    /// Follows the bytes that came next.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut scan = Scan { passed: 0, read: 0, refusal: None };
        while scan.read < bytes.len() {
            match self.step(&bytes[scan.read..]) {
                Ok(0) => break,
                Ok(read) => scan.read += read,
                Err(refusal) => {
                    self.state = State::Refused;
                    scan.refusal = Some(refusal);
                    return scan;
                }
            }
            if !matches!(self.place(), Place::Head | Place::Refused) {
                scan.passed = scan.read;
            }
        }
        scan
    }

    /// Where the connection stands.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.state {
            State::Between { .. } => Place::Between,
            State::Length(_) | State::Chunks => Place::Body,
            State::Undecided => Place::Undecided,
            State::Raw => Place::Raw,
            State::Refused => Place::Refused,
            _ => Place::Head,
        }
    }

    /// How many heads were found good.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Refuses whatever comes, for a reason that is not in the bytes.
    pub fn refuse(&mut self) {
        self.state = State::Refused;
    }

    /// Says how the request was answered that asked for an upgrade. Without an upgrade, what follows it are requests
    /// like any other.
    pub fn decide(&mut self, upgraded: bool) {
        if self.state == State::Undecided {
            self.state = if upgraded { State::Raw } else { State::Between { skipped: false } };
        }
    }

    /// Reads on within one state or a few; zero when nothing may be read before a decision.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match self.state {
            State::Between { skipped } => self.read_between(bytes, skipped),
            State::SkippedLf if bytes[0] == b'\n' => {
                self.state = State::Between { skipped: true };
                Ok(1)
            }
            State::SkippedLf => Err(Refusal::BareCr),
            State::Length(left) => {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                match left - skipped as u64 {
                    0 => self.end_request(),
                    left => self.state = State::Length(left),
                }
                Ok(skipped)
            }
            State::Chunks => {
                let (read, done) = self.chunks.read(bytes)?;
                if done {
                    self.end_request();
                }
                Ok(read)
            }
            State::Undecided => Ok(0),
            State::Raw | State::Refused => Ok(bytes.len()),
            _ => {
                // Cut to what is left of the limit, so that it strikes at the same byte however they come.
                let window = &bytes[..bytes.len().min(self.limits.head_bytes - self.head)];
                if window.is_empty() {
                    return Err(Refusal::Headers);
                }
                let read = self.read_head(window)?;
                self.head += read;
                Ok(read)
            }
        }
    }

    fn read_between(&mut self, bytes: &[u8], skipped: bool) -> Result<usize, Refusal> {
        match bytes[0] {
            b'\r' if !skipped => {
                self.state = State::SkippedLf;
                Ok(1)
            }
            b'\n' => Err(Refusal::BareLf),
            byte if !is_token(byte) => Err(Refusal::RequestLine),
            _ => {
                self.state = State::Method;
                self.head = 0;
                self.method = Method::default();
                self.version_bytes = 0;
                self.step(bytes)
            }
        }
    }

    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match self.state {
            State::Method => self.read_method(bytes),
            State::Target => self.read_target(bytes),
            State::Version => self.read_version(bytes[0]),
            State::OldLf if bytes[0] == b'\n' => Err(Refusal::Version),
            State::LineLf if bytes[0] == b'\n' => {
                let is_old = self.version == *b"HTTP/1.0";
                self.fields = Fields::new(Section::Request, is_old, self.limits.headers);
                self.state = State::Fields;
                Ok(1)
            }
            State::Fields => {
                let (read, done) = self.fields.read(bytes)?;
                if done {
                    self.end_head()?;
                }
                Ok(read)
            }
            _ => Err(Refusal::BareCr),
        }
    }

    fn read_method(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        const CONNECT: &[u8] = b"CONNECT";
        for (at, &byte) in bytes.iter().enumerate() {
            if is_token(byte) {
                let is_alike = CONNECT.get(self.method.bytes) == Some(&byte);
                self.method.connect += usize::from(is_alike);
                self.method.bytes += 1;
                continue;
            }
            if byte != b' ' {
                return Err(line_fault(byte));
            }
            let Method { bytes, connect } = self.method;
            self.target = Target::new(bytes == CONNECT.len() && connect == CONNECT.len());
            self.state = State::Target;
            return Ok(at + 1);
        }
        Ok(bytes.len())
    }

    fn read_target(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b' ' | b'\r' if self.target.bytes() > 0 => {
                    self.target.end()?;
                    self.state = if byte == b' ' { State::Version } else { State::OldLf };
                    return Ok(at + 1);
                }
                ..=b' ' | 0x7f => return Err(line_fault(byte)),
                _ if self.target.bytes() == self.limits.target_bytes => {
                    return Err(Refusal::TargetTooLong);
                }
                _ => self.target.read(byte)?,
            }
        }
        Ok(bytes.len())
    }

    fn read_version(&mut self, byte: u8) -> Result<usize, Refusal> {
        let is_expected = match self.version_bytes {
            at @ 0..=4 => byte == b"HTTP/"[at],
            6 => byte == b'.',
            5 | 7 => byte.is_ascii_digit(),
            _ if byte == b'\r' => {
                self.state = State::LineLf;
                return match &self.version {
                    b"HTTP/1.1" | b"HTTP/1.0" => Ok(1),
                    _ => Err(Refusal::Version),
                };
            }
            _ => false,
        };
        if !is_expected {
            return Err(line_fault(byte));
        }
        self.version[self.version_bytes] = byte;
        self.version_bytes += 1;
        Ok(1)
    }

    fn end_head(&mut self) -> Result<(), Refusal> {
        if !self.fields.has_host() && self.version == *b"HTTP/1.1" {
            return Err(Refusal::HostMissing);
        }
        self.requests += 1;
        match self.fields.framing() {
            None | Some(Framing::Length(0)) => self.end_request(),
            Some(Framing::Length(length)) => self.state = State::Length(length),
            Some(Framing::Chunked) => {
                self.chunks = Chunks::new();
                self.state = State::Chunks;
            }
        }
        Ok(())
    }

    fn end_request(&mut self) {
        self.state = if self.fields.has_upgrade() {
            State::Undecided
        } else {
            State::Between { skipped: false }
        };
    }
}

/// Why a byte may not stand in a request line.
fn line_fault(byte: u8) -> Refusal {
    if byte == b'\n' { Refusal::BareLf } else { Refusal::RequestLine }
}

#[cfg(test)]
mod tests;
