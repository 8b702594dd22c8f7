//! A chunked body (RFC 9112, 7.1), read more strictly than the grammar: no white space around a size or an extension,
//! as that is where parsers differ, and no client needs it.

use super::fields::{Fields, Section, is_control, is_token};
use crate::proxy::refusal::Refusal;

/// Of one chunk's extensions; the only ones in use are signatures of about a hundred bytes.
const EXTENSION_BYTES: usize = 256;
/// Of all extensions of a body: small chunks with large extensions are work without a payload.
const EXTENSIONS_BYTES: usize = 4 << 10;
/// Hexadecimal digits of a size; more would not fit into 64 bits.
const SIZE_DIGITS: u8 = 16;
/// Of all trailers, names, values and line ends.
const TRAILER_BYTES: usize = 8 << 10;
const TRAILERS: usize = 32;

/// Follows one body to its end.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    state: State,
    /// Of the chunk at hand: first what its size line says, then what is left of it.
    size: u64,
    digits: u8,
    extension: usize,
    extensions: usize,
    trailer_bytes: usize,
    trailers: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// Behind the semicolon, before the first byte of a name.
    NameStart,
    Name,
    /// Behind the equals sign.
    ValueStart,
    Token,
    Quoted,
    Escaped,
    /// Behind the closing quote.
    QuotedEnd,
    LineEnd,
    Data,
    DataCr,
    DataLf,
    Trailers,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            state: State::Size,
            size: 0,
            digits: 0,
            extension: 0,
            extensions: 0,
            trailer_bytes: 0,
            trailers: Fields::new(Section::Trailers, false, TRAILERS),
        }
    }

    /// Reads on; says how many bytes were read, and whether the body ended with them.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Data => at += self.skip_data(bytes.len() - at),
                State::Trailers => {
                    let (read, done) = self.read_trailers(&bytes[at..])?;
                    at += read;
                    if done {
                        return Ok((at, true));
                    }
                }
                _ => {
                    self.state = self.read_byte(byte).ok_or(Refusal::Chunk)?;
                    at += 1;
                }
            }
        }
        Ok((at, false))
    }

    fn skip_data(&mut self, available: usize) -> usize {
        let skipped = usize::try_from(self.size).unwrap_or(usize::MAX).min(available);
        self.size -= skipped as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        skipped
    }

    fn read_trailers(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let room = TRAILER_BYTES - self.trailer_bytes;
        let window = &bytes[..bytes.len().min(room)];
        if window.is_empty() {
            return Err(Refusal::Trailer);
        }
        let (read, done) = self.trailers.read(window).map_err(|_| Refusal::Trailer)?;
        self.trailer_bytes += read;
        Ok((read, done))
    }

    /// The state after one byte of a size line or of the line end behind the data; `None` when it may not stand there.
    fn read_byte(&mut self, byte: u8) -> Option<State> {
        match (self.state, byte) {
            (State::Size, _) => self.read_size(byte),
            (State::LineEnd, b'\n') if self.size == 0 => Some(State::Trailers),
            (State::LineEnd, b'\n') => Some(State::Data),
            (State::DataCr, b'\r') => Some(State::DataLf),
            (State::DataLf, b'\n') => {
                (self.size, self.digits) = (0, 0);
                Some(State::Size)
            }
            (State::LineEnd | State::DataCr | State::DataLf, _) => None,
            _ => self.read_extension(byte),
        }
    }

    fn read_size(&mut self, byte: u8) -> Option<State> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Some(State::LineEnd),
            b';' if self.digits > 0 => {
                self.extension = 0;
                return Some(State::NameStart);
            }
            _ => return None,
        };
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        let is_plain = self.digits <= SIZE_DIGITS && self.size <= i64::MAX.unsigned_abs();
        is_plain.then_some(State::Size)
    }

    /// `;name`, `;name=token` or `;name="text"`, any number of them.
    fn read_extension(&mut self, byte: u8) -> Option<State> {
        self.extension += 1;
        self.extensions += 1;
        if self.extension > EXTENSION_BYTES || self.extensions > EXTENSIONS_BYTES {
            return None;
        }
        match (self.state, byte) {
            (State::Name | State::Token | State::QuotedEnd, b'\r') => Some(State::LineEnd),
            (State::Name | State::Token | State::QuotedEnd, b';') => Some(State::NameStart),
            (State::Name, b'=') => Some(State::ValueStart),
            (State::ValueStart, b'"') => Some(State::Quoted),
            (State::NameStart | State::Name, _) if is_token(byte) => Some(State::Name),
            (State::ValueStart | State::Token, _) if is_token(byte) => Some(State::Token),
            (State::Quoted, b'"') => Some(State::QuotedEnd),
            (State::Quoted, b'\\') => Some(State::Escaped),
            (State::Quoted | State::Escaped, _) if !is_control(byte) => Some(State::Quoted),
            _ => None,
        }
    }
}
