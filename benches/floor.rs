//! What reading costs at the very least: one `pread` of each file, its text thrown away.
//!
//! Which files those are is asked of the kernel, not of Podmeter: every file that is open after a first
//! tick and was not before. Left out are directories and `/proc/<pid>/cgroup`, which serve discovery:
//! what looking after them costs is the tick's own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files open in this process, by their number and path.
pub(crate) fn open_files() -> io::Result<BTreeSet<(u32, PathBuf)>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // The descriptor of this very listing is gone by the time it is asked for.
        if let (Some(number), Ok(path)) = (number, fs::read_link(entry.path())) {
            files.insert((number, path));
        }
    }
    Ok(files)
}

/// Kept descriptors of the same files that a tick reads.
pub(crate) struct Floor {
    files: Vec<(File, usize)>,
    buffer: Vec<u8>,
    /// Files of discovery, which are not read here.
    pub(crate) directories: usize,
    /// Files by which a pod's process is known to be alive, not read here either.
    pub(crate) witnesses: usize,
}

impl Floor {
    /// Opens for itself what was opened since `before`.
    pub(crate) fn since(before: &BTreeSet<(u32, PathBuf)>) -> io::Result<Self> {
        let mut floor =
            Self { files: Vec::new(), buffer: vec![0; 64 * 1024], directories: 0, witnesses: 0 };
        for (_, path) in open_files()?.difference(before) {
            let Ok(kind) = path.metadata() else { continue };
            if kind.is_dir() {
                floor.directories += 1;
            } else if is_witness(path) {
                floor.witnesses += 1;
            } else {
                // Podmeter reads the first line of /proc/stat, the rest only now and then.
                let most = if path.ends_with("proc/stat") { 512 } else { floor.buffer.len() };
                floor.files.push((File::open(path)?, most));
            }
        }
        Ok(floor)
    }

    /// Reads each file once and answers how many bytes there were.
    pub(crate) fn read(&mut self) -> usize {
        let Self { files, buffer, .. } = self;
        files
            .iter()
            // A feature that is turned off answers with an error, to the tick as well.
            .map(|(file, most)| file.read_at(&mut buffer[..*most], 0).unwrap_or(0))
            .sum()
    }

    /// How many files are read.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }
}

/// `/proc/<pid>/cgroup`.
fn is_witness(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    path.ends_with("cgroup") && parent.is_some_and(|name| name.parse::<u32>().is_ok())
}
