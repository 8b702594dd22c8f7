//! Follows the frame headers of one HTTP/2 connection from a client and bounds the frames that carry nothing.
//!
//! The h2 library is right about every single frame; what it does not bound is how many a second it is made to
//! handle for nothing. Pure: no I/O, no clock, no payload kept. Source: RFC 9113, 10.5, and the floods that were
//! published since 2019 (resets, pings, settings, empty frames, continuations).

use std::time::Duration;

use tokio::time::Instant;

use crate::proxy::refusal::Refusal;

/// What a client that knows HTTP/2 begins with.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const WINDOW: Duration = Duration::from_secs(1);

// In one window.
const RESETS: u32 = 100;
const SETTINGS: u32 = 50;
const EMPTY_DATA: u32 = 100;
/// Also for frames of unknown kinds, which cost as little and mean as little.
const PRIORITIES: u32 = 200;
/// Streaming calls send messages of a few bytes by the thousand, and the library bounds them by what is not yet read.
const TINY_DATA: u32 = 10_000;
/// Further ones are paid for by what was sent: see [`PING_BYTES`].
const PINGS: u32 = 100;
const UPDATES: u32 = 2_000;

/// Clients measure the line with a ping for each burst of data that they get, so data pays for pings.
const PING_BYTES: u64 = 1 << 10;
/// A client gives back the window of what it read, at worst for each small frame, of the stream and of the connection.
const UPDATE_BYTES: u64 = 64;

/// Of one header block.
const CONTINUATIONS: u32 = 20;
const TINY_BYTES: u32 = 16;

/// The state of one connection.
#[derive(Clone, Debug)]
pub struct Follower {
    preface: usize,
    header: [u8; 9],
    filled: usize,
    /// Bytes of the frame's payload that have not come.
    left: u32,
    kind: u8,
    /// The frame is padded and the byte that says by how much has not come.
    is_padding_ahead: bool,
    /// In a header block: its continuations so far.
    block: Option<u32>,
    frames: u64,
    window: Option<Instant>,
    counts: Counts,
    /// What had been sent at the start of this window and of the one before: a client answers late.
    marks: [u64; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    resets: u32,
    settings: u32,
    empty: u32,
    priorities: u32,
    tiny: u32,
    pings: u32,
    updates: u32,
}

// Kinds of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS_FRAME: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

impl Default for Follower {
    fn default() -> Self {
        Self {
            preface: PREFACE.len(),
            header: [0; 9],
            filled: 0,
            left: 0,
            kind: DATA,
            is_padding_ahead: false,
            block: None,
            frames: 0,
            window: None,
            counts: Counts::default(),
            marks: [0; 2],
        }
    }
}

impl Follower {
    /// Before the preface.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the bytes that came next; `sent` is how many went to the client so far.
    ///
    /// # Errors
    ///
    /// When there are too many frames that carry nothing.
    pub fn follow(&mut self, mut bytes: &[u8], now: Instant, sent: u64) -> Result<(), Refusal> {
        let start = *self.window.get_or_insert(now);
        if now.saturating_duration_since(start) >= WINDOW {
            self.window = Some(now);
            self.counts = Counts::default();
            self.marks = [self.marks[1], sent];
        }
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes, sent)?..];
        }
        Ok(())
    }

    /// Whether something has begun that is not whole and is no data: the preface, a header block, a small frame.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let is_in_frame = self.filled > 0 || (self.left > 0 && self.kind != DATA);
        self.preface > 0 || self.block.is_some() || is_in_frame
    }

    /// How many frames have begun.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn step(&mut self, bytes: &[u8], sent: u64) -> Result<usize, Refusal> {
        if self.preface > 0 {
            let skipped = self.preface.min(bytes.len());
            self.preface -= skipped;
            return Ok(skipped);
        }
        if self.left > 0 {
            if std::mem::take(&mut self.is_padding_ahead) {
                self.count_data(self.left.saturating_sub(1 + u32::from(bytes[0])))?;
            }
            let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= u32::try_from(skipped).unwrap_or(self.left);
            return Ok(skipped);
        }
        let read = bytes.len().min(self.header.len() - self.filled);
        self.header[self.filled..][..read].copy_from_slice(&bytes[..read]);
        self.filled += read;
        if self.filled == self.header.len() {
            self.filled = 0;
            self.begin_frame(sent)?;
        }
        Ok(read)
    }

    fn begin_frame(&mut self, sent: u64) -> Result<(), Refusal> {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        self.kind = kind;
        self.frames += 1;
        let paid =
            |bytes| u32::try_from(sent.saturating_sub(self.marks[0]) / bytes).unwrap_or(u32::MAX);
        let (pings, updates) = (paid(PING_BYTES), paid(UPDATE_BYTES));
        let counts = &mut self.counts;
        match kind {
            DATA if flags & END_STREAM != 0 => Ok(()),
            DATA if flags & PADDED != 0 && self.left > 0 => {
                self.is_padding_ahead = true;
                Ok(())
            }
            DATA => self.count_data(self.left),
            HEADERS => {
                self.block = (flags & END_HEADERS == 0).then_some(0);
                Ok(())
            }
            CONTINUATION => {
                let mut count = self.block.unwrap_or(0);
                bound(&mut count, CONTINUATIONS)?;
                self.block = (flags & END_HEADERS == 0).then_some(count);
                Ok(())
            }
            RST_STREAM => bound(&mut counts.resets, RESETS),
            SETTINGS_FRAME => bound(&mut counts.settings, SETTINGS),
            PING => bound(&mut counts.pings, PINGS.saturating_add(pings)),
            WINDOW_UPDATE => bound(&mut counts.updates, UPDATES.saturating_add(updates)),
            _ => bound(&mut counts.priorities, PRIORITIES),
        }
    }

    fn count_data(&mut self, bytes: u32) -> Result<(), Refusal> {
        match bytes {
            0 => bound(&mut self.counts.empty, EMPTY_DATA),
            1..=TINY_BYTES => bound(&mut self.counts.tiny, TINY_DATA),
            _ => Ok(()),
        }
    }
}

fn bound(count: &mut u32, most: u32) -> Result<(), Refusal> {
    *count += 1;
    if *count > most { Err(Refusal::Http2Flood) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
