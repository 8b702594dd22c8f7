//! Why what was kept cannot be used, or nothing can be kept; and how often.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::labels::{Label, LabelSet};
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Every one but the last two means: what was counted before begins anew.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {error}; remove it, and look at the disk if it comes again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The folder or the file is another user's, or everybody may write to the file.
    #[error("{} is not Podmeter's own ({what}); give it to the user that Podmeter runs as: chown -R 65532:65532 and chmod -R o-w in the chart's case", path.display())]
    Permissions {
        /// The folder or the file.
        path: PathBuf,
        /// What was met.
        what: String,
    },
    /// More than Podmeter ever writes.
    #[error(
        "the state is longer than Podmeter ever writes it; it begins anew, nothing needs to be done unless it comes again"
    )]
    TooLarge,
    /// Cut short or changed.
    #[error(
        "the state is damaged at line {line}, column {column}; it begins anew, look at the disk if it comes again"
    )]
    Damaged {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Podmeter was set back to an earlier version.
    #[error(
        "the state is of version {found}, which a later Podmeter wrote; it begins anew and will be written over, go back to that Podmeter before then to keep it"
    )]
    NewerVersion {
        /// The version in the file.
        found: u32,
    },
    /// A folder that several nodes share, or a disk that was copied.
    #[error(
        "the state is of the node {found:?}; give every node a folder of its own under state.path"
    )]
    OtherNode {
        /// The node in the file.
        found: String,
    },
    /// The folder or the file in it cannot be written.
    #[error("cannot keep state in {}: {error}; make the folder, let Podmeter's user write there (install -d -o 65532 -g 65532 in the chart's case) and see that the disk has room, or clear state.path", path.display())]
    Unwritable {
        /// What was to be written.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// More pods than the file has room for.
    #[error("not all pods find room in the state of {} KiB; of those that do not, OOM kills begin anew with the next start", super::format::MAX_BYTES / 1024)]
    Full,
}

impl Fault {
    /// Every value of the label, in the order of the counts.
    const REASONS: [&'static str; 8] = [
        "unreadable",
        "permissions",
        "too_large",
        "damaged",
        "newer_version",
        "other_node",
        "unwritable",
        "full",
    ];

    const fn index(&self) -> usize {
        match self {
            Self::Unreadable { .. } => 0,
            Self::Permissions { .. } => 1,
            Self::TooLarge => 2,
            Self::Damaged { .. } => 3,
            Self::NewerVersion { .. } => 4,
            Self::OtherNode { .. } => 5,
            Self::Unwritable { .. } => 6,
            Self::Full => 7,
        }
    }

    /// The `reason` label. A closed set.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        Self::REASONS[self.index()]
    }
}

/// Faults since the start. A clone counts into the same.
#[derive(Clone, Debug)]
pub struct Stats {
    counts: Arc<[AtomicU64; Fault::REASONS.len()]>,
    labels: [Arc<LabelSet>; Fault::REASONS.len()],
}

impl Default for Stats {
    fn default() -> Self {
        let label = |reason| Arc::new(LabelSet::new(vec![Label::own("reason", reason)]));
        Self { counts: Arc::default(), labels: Fault::REASONS.map(label) }
    }
}

impl Stats {
    pub(super) fn count(&self, fault: &Fault) {
        self.counts[fault.index()].fetch_add(1, Ordering::Relaxed);
    }
}

impl Contribute for Stats {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (count, labels) in self.counts.iter().zip(&self.labels) {
            let count = count.load(Ordering::Relaxed) as f64;
            snapshot.add(Series::StateFaults.into(), agent, Some(labels.clone()), count);
        }
    }
}
