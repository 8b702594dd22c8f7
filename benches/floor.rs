//! What reading costs at the very least: one `pread` of each file, its text thrown away.
//!
//! Which files those are is asked of the kernel, not of Podmeter: every file that is open after a first
//! tick and was not before. Left out are directories and `/proc/<pid>/cgroup`, which serve discovery:
//! what looking after them costs is the tick's own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;

use super::clock;

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

/// Another process that keeps the same files open and reads them when it is asked to: together with the
/// sampler's they would be more than one process may have.
pub(crate) struct Floor {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Files read.
    pub(crate) files: usize,
    /// Kept for discovery, which are not read here.
    pub(crate) directories: usize,
    /// Files by which a pod's process is known to be alive, not read here either.
    pub(crate) witnesses: usize,
}

impl Floor {
    /// Reads what was opened in this process since `before`.
    pub(crate) fn since(before: &BTreeSet<(u32, PathBuf)>) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("only-floor")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (mut input, output) = input.zip(output).context("no pipes")?;
        let (mut files, mut directories, mut witnesses) = (0, 0, 0);
        for (_, path) in open_files()?.difference(before) {
            let Ok(kind) = path.metadata() else { continue };
            if kind.is_dir() {
                directories += 1;
            } else if is_witness(path) {
                witnesses += 1;
            } else {
                files += 1;
                writeln!(input, "{}", path.display())?;
            }
        }
        writeln!(input)?;
        let mut floor =
            Self { child, input, output: BufReader::new(output), files, directories, witnesses };
        floor.read()?;
        Ok(floor)
    }

    /// Has each file read once and answers the CPU time that took, in seconds.
    pub(crate) fn read(&mut self) -> anyhow::Result<f64> {
        writeln!(self.input)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().context("the reading process has ended")
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other process: paths up to an empty line, then one reading for each line.
pub(crate) fn serve() -> anyhow::Result<()> {
    let mut lines = std::io::stdin().lines();
    let mut files = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    for line in lines.by_ref() {
        let path = line?;
        if path.is_empty() {
            break;
        }
        // Podmeter reads the first line of /proc/stat, the rest only now and then.
        let most = if path.ends_with("proc/stat") { 512 } else { buffer.len() };
        files.push((File::open(&path).with_context(|| path.clone())?, most));
    }
    for line in lines {
        line?;
        let time = clock::timed(|| {
            for (file, most) in &files {
                // A feature that is turned off answers with an error, to the tick as well.
                let _ = black_box(file.read_at(&mut buffer[..*most], 0));
            }
        });
        writeln!(std::io::stdout(), "{time}")?;
    }
    Ok(())
}

/// `/proc/<pid>/cgroup`.
fn is_witness(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    path.ends_with("cgroup") && parent.is_some_and(|name| name.parse::<u32>().is_ok())
}
