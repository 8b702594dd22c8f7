//! What could not be read, counted by a closed set of sources and kinds.
//!
//! A partial failure is data here: one vanished container never loses the node.

use std::io;

/// Which reader met the fault. The `source` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A cgroup's file or directory.
    Cgroup,
    /// A pod's network namespace.
    Network,
    /// The node's `/proc` files and file systems.
    Host,
}

/// What was wrong. The `kind` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It ended between listing and reading. Normal on a busy node.
    Vanished,
    /// Permission denied: the mount or the user id hides the file.
    Denied,
    /// The file is there and its content is not what the kernel documents.
    Malformed,
    /// A bound was reached, so something was left out: too many cgroups, devices or interfaces.
    Bounded,
    /// Any other I/O error, too many open files among them.
    Io,
}

impl Source {
    /// All of them, in the order of the counts.
    pub const ALL: [Self; 3] = [Self::Cgroup, Self::Network, Self::Host];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Network => "network",
            Self::Host => "host",
        }
    }
}

impl Kind {
    /// All of them, in the order of the counts.
    pub const ALL: [Self; 5] =
        [Self::Vanished, Self::Denied, Self::Malformed, Self::Bounded, Self::Io];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vanished => "vanished",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::Bounded => "bounded",
            Self::Io => "io",
        }
    }

    /// `ENODEV` is what a kept file of a removed cgroup answers, `ESRCH` one of a gone process.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        const ENODEV: i32 = 19;
        const ESRCH: i32 = 3;
        match error.kind() {
            io::ErrorKind::NotFound => Self::Vanished,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::InvalidData => Self::Malformed,
            _ if matches!(error.raw_os_error(), Some(ENODEV | ESRCH)) => Self::Vanished,
            _ => Self::Io,
        }
    }
}

/// Counts since the start, never reset.
#[derive(Clone, Debug, Default)]
pub struct ReadErrors {
    counts: [[u64; Kind::ALL.len()]; Source::ALL.len()],
}

impl ReadErrors {
    /// Counts one fault.
    pub fn add(&mut self, source: Source, kind: Kind) {
        self.counts[source as usize][kind as usize] += 1;
    }

    /// Every source and kind with its count, zeros too.
    pub fn counts(&self) -> impl Iterator<Item = (Source, Kind, u64)> + '_ {
        Source::ALL.into_iter().flat_map(move |source| {
            Kind::ALL
                .into_iter()
                .map(move |kind| (source, kind, self.counts[source as usize][kind as usize]))
        })
    }
}
