//! Kernel files kept open and read again with `pread`.
//!
//! Owns opening, re-reading and giving up on a file. What its text means is the business of
//! [`super::v1`] and [`super::v2`], and of [`crate::host`] and [`crate::network`], which read the same way.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, pread};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Counters;
use super::mounts::Controller;
use super::parse::Outcome;

/// Most bytes read of one file; what is beyond is left out and counted.
pub const MAX_BYTES: usize = 64 * 1024;

/// One kernel file of a cgroup: where it is and what it fills.
#[derive(Debug)]
pub struct Spec {
    /// In which hierarchy on v1.
    pub controller: Controller,
    /// Names to try, the best first.
    pub names: &'static [&'static str],
    /// Reads the file's text into the counters.
    pub fill: fn(&[u8], &mut Counters) -> Outcome,
}

impl Spec {
    pub(super) const fn new(
        controller: Controller,
        names: &'static [&'static str],
        fill: fn(&[u8], &mut Counters) -> Outcome,
    ) -> Self {
        Self { controller, names, fill }
    }
}

/// How a file tells its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A read that does not fill the buffer has met it: cgroup files are made in one piece.
    ShortRead,
    /// Only a read of nothing tells: `/proc` lists such as `net/dev` come a page at a time.
    EmptyRead,
}

/// The text of one reading.
#[derive(Debug)]
pub struct Text<'a> {
    /// Whole lines.
    pub bytes: &'a [u8],
    /// Whether [`MAX_BYTES`] cut it.
    pub is_cut: bool,
}

/// One buffer for all files of a reader, so that reading allocates nothing once it has grown.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Self {
        // memory.stat is the longest file of a cgroup, about 2 KiB.
        Self { bytes: vec![0; 4096] }
    }
}

impl Buffer {
    /// Reads a file from its beginning.
    ///
    /// # Errors
    /// What `pread` answers; `ENODEV` when the file's cgroup is gone.
    pub fn read(&mut self, file: impl AsFd, end: End) -> io::Result<Text<'_>> {
        let file = file.as_fd();
        let mut len = 0;
        loop {
            if len == self.bytes.len() {
                if len >= MAX_BYTES {
                    return Ok(Text { bytes: whole_lines(&self.bytes), is_cut: true });
                }
                self.bytes.resize((len * 2).min(MAX_BYTES), 0);
            }
            let room = self.bytes.len() - len;
            match pread(file, &mut self.bytes[len..], len as u64) {
                Ok(0) => break,
                Ok(count) => {
                    len += count;
                    if count < room && end == End::ShortRead {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Text { bytes: &self.bytes[..len], is_cut: false })
    }

    /// Reads only the beginning of a file, at most `limit` bytes.
    ///
    /// # Errors
    /// What `pread` answers.
    pub fn read_start(&mut self, file: impl AsFd, limit: usize) -> io::Result<&[u8]> {
        let limit = limit.min(self.bytes.len());
        let len = pread(file, &mut self.bytes[..limit], 0)?;
        Ok(&self.bytes[..len])
    }
}

fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    &bytes[..end]
}

/// One file that stays open between ticks, or is waited for.
#[derive(Debug, Default)]
pub struct Kept {
    file: Option<OwnedFd>,
}

impl Kept {
    /// The open file.
    #[must_use]
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Opens the file; one that is absent stays closed without an error.
    ///
    /// # Errors
    /// Anything but absence, such as a lack of permission or of file descriptors.
    pub fn open(&mut self, directory: impl AsFd, path: &CStr) -> io::Result<()> {
        self.file = match open(directory, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        Ok(())
    }

    /// Gives the file up; it may be opened again.
    pub fn close(&mut self) {
        self.file = None;
    }
}

/// Whether to look for an absent file in the tick `age` of its cgroup.
///
/// v1 hierarchies get a new cgroup one after another, hence the first ticks; a v2 controller may be
/// enabled at any later time, hence the slow repetition.
#[must_use]
pub fn is_due(age: u32) -> bool {
    age < 3 || age.is_multiple_of(32)
}

/// Opens a file for reading.
///
/// # Errors
/// What `openat` answers.
pub fn open(directory: impl AsFd, path: &CStr) -> io::Result<OwnedFd> {
    // NONBLOCK: a fifo in a damaged tree must not stop the agent; kernel files do not care.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    Ok(openat(directory, path, flags, Mode::empty())?)
}

/// Whether the kernel has the file but not the feature, such as PSI turned off at boot.
#[must_use]
pub fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())
}

/// Raises the limit of open files to the hard limit and answers it: each cgroup keeps some 17 files open.
///
/// # Errors
/// When the kernel refuses, which leaves the limit as it was.
pub fn raise_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
