//! Where rendered bytes go: kept whole, or passed on family by family.

use std::io::{self, Write};

/// Takes what is rendered. The renderer appends to the buffer itself, so that a byte is copied once.
pub trait Sink {
    /// Where to append.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// A family ends here: what the buffer holds may be passed on.
    ///
    /// # Errors
    /// When it cannot be.
    fn family_done(&mut self) -> io::Result<()>;
}

/// Keeps everything.
impl Sink for Vec<u8> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self
    }

    fn family_done(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes the bytes on to a writer, such as a compressor, and never holds much more than one family.
#[derive(Debug)]
pub struct Flushing<W> {
    buffer: Vec<u8>,
    writer: W,
}

/// Small families are gathered up to this many bytes: a compressor works better on larger pieces.
const PIECE: usize = 32 * 1024;

impl<W: Write> Flushing<W> {
    /// Passes on to `writer`.
    pub fn new(writer: W) -> Self {
        Self { buffer: Vec::with_capacity(2 * PIECE), writer }
    }

    /// Passes the rest on and gives the writer back.
    ///
    /// # Errors
    /// When the writer refuses the bytes.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.write_all(&self.buffer)?;
        Ok(self.writer)
    }
}

impl<W: Write> Sink for Flushing<W> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn family_done(&mut self) -> io::Result<()> {
        if self.buffer.len() >= PIECE {
            self.writer.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
