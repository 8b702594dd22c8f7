//! Whether an open `net/dev` is the host's own.
//!
//! A runtime puts a process into the container's cgroup first and into the pod's network namespace after
//! that. A file that was opened in between shows the host's traffic for as long as it stays open. Two
//! links `ns/net` would tell, but reading the host's needs a capability that the numbers do not.

use std::os::fd::{AsFd, OwnedFd};

use super::{Interface, dev, pids};
use crate::cgroup::file::{Buffer, End};

/// Interfaces compared.
const MAX: usize = 64;

/// Whether `file` shows the network namespace of process 1: the same interfaces, with counters between
/// two readings of the host's. Also true when they changed in between, so that nothing can be said.
pub(super) fn is_hosts(proc: &OwnedFd, file: &OwnedFd, buffer: &mut Buffer) -> bool {
    let Ok(host) = pids::open(proc, "1", "net/dev") else { return false };
    let mut read = |file: &OwnedFd| interfaces(file, buffer);
    let (Some(before), Some(seen), Some(after)) = (read(&host), read(file), read(&host)) else {
        return false;
    };
    if !is_same(&before, &after) {
        return true;
    }
    !seen.is_empty() && is_same(&before, &seen) && is_between(&before, &seen, &after)
}

fn interfaces(file: impl AsFd, buffer: &mut Buffer) -> Option<Vec<Interface>> {
    let text = buffer.read(file, End::EmptyRead).ok()?;
    let mut interfaces = Vec::new();
    // What could be read of an odd text, or of a long one, is the same for both.
    let _ = dev::parse(text.bytes, |name| name != "lo", MAX, &mut interfaces);
    Some(interfaces)
}

fn is_same(a: &[Interface], b: &[Interface]) -> bool {
    a.iter().map(|interface| &interface.name).eq(b.iter().map(|interface| &interface.name))
}

fn is_between(before: &[Interface], seen: &[Interface], after: &[Interface]) -> bool {
    let counters = |interface: &Interface| {
        [
            interface.receive_bytes,
            interface.receive_packets,
            interface.transmit_bytes,
            interface.transmit_packets,
        ]
    };
    let grew = |from: &[Interface], to: &[Interface]| {
        let all = from.iter().flat_map(counters).zip(to.iter().flat_map(counters));
        all.into_iter().all(|(from, to)| from <= to)
    };
    grew(before, seen) && grew(seen, after)
}
