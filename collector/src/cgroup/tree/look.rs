//! The system calls of discovery: what a directory is, and whether it is still the same.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags, fstat, openat, statat, statx};
use rustix::io::Errno;

/// What changes when a child comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    links: u64,
    modified: (i64, u64),
}

/// Tells a directory from another that took its name. The birth time is for file systems that give
/// an inode number to the next file at once; the kernel's cgroup file systems have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) inode: u64,
    born: Option<(i64, u32)>,
}

/// One look at a name.
pub(super) struct Seen {
    pub(super) identity: Identity,
    pub(super) created: Option<SystemTime>,
    pub(super) is_directory: bool,
}

pub(super) fn open(directory: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat(directory, name, flags, Mode::empty())?)
}

pub(super) fn signature(directory: BorrowedFd<'_>) -> Option<Signature> {
    let stat = fstat(directory).ok()?;
    Some(Signature {
        links: stat.st_nlink as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
    })
}

pub(super) fn look(directory: impl AsFd, name: &CStr) -> io::Result<Seen> {
    match statx(
        &directory,
        name,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS | StatxFlags::BTIME,
    ) {
        Ok(stat) => {
            let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
            let born = has_birth.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec));
            let changed = [stat.stx_mtime, stat.stx_ctime].map(|time| (time.tv_sec, time.tv_nsec));
            Ok(Seen {
                identity: Identity { inode: stat.stx_ino, born },
                created: time(born.unwrap_or(changed[0].min(changed[1]))),
                is_directory: FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory,
            })
        }
        // A sandbox's system call filter may not know it.
        Err(Errno::NOSYS | Errno::PERM) => {
            let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(Seen {
                identity: Identity { inode: stat.st_ino, born: None },
                created: time((stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))),
                is_directory: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn time((seconds, nanos): (i64, u32)) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos.min(999_999_999)))
}
