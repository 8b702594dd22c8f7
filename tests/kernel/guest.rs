//! The same cases in a guest with cgroup v2: this program and the binary under test, copied there.
//!
//! The tool is a command that boots a kernel: `vm [-m MEBIBYTES] [-t SECONDS] FILE=DEST… -- COMMAND…`. It
//! copies the files with the libraries that they need, and hands on what the command prints and its exit status.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Completion;

use crate::podmeter::binary;

/// Names the tool.
const TOOL: &str = "PODMETER_TEST_VM";
/// Set in the guest.
const INSIDE: &str = "PODMETER_KERNEL_GUEST";
/// Where the tool is looked for otherwise, from the folder that the repository is in.
const BESIDE: &str = "shared/vm/vm";
/// Seconds until the guest is given up.
const TIME: &str = "900";
const MEMORY: &str = "1024";

/// Whether this process runs in the guest: there is no guest in a guest.
pub(crate) fn is_here() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the cases there.
///
/// # Panics
/// When one of them fails.
pub(crate) fn run() -> Completion {
    let Some(tool) = tool() else {
        eprintln!("kernel: skipped the cgroup v2 guest: no ../{BESIDE} and {TOOL} is not set");
        return Completion::ignored_with("no tool that boots a guest");
    };
    let folder = tempfile::tempdir().unwrap();
    let (this, podmeter) = (folder.path().join("kernel"), folder.path().join("podmeter"));
    copy(&std::env::current_exe().unwrap(), &this);
    copy(&binary(), &podmeter);
    let mut command = Command::new(&tool);
    command.args(["-m", MEMORY, "-t", TIME]);
    let mut files = vec![format!("{}=/kernel", this.display())];
    let unpack = if needs_libraries(&podmeter) {
        files.push(format!("{}=/podmeter", podmeter.display()));
        String::new()
    } else {
        // The tool copies no program without libraries: a static one comes behind the end of this one.
        let bytes = append(&podmeter, &this);
        format!("tail -c {bytes} /kernel >/podmeter && chmod 755 /podmeter && ")
    };
    command.args(files);
    // Cases that run as nobody need a root directory that anybody may enter.
    let inside = format!(
        "{unpack}chmod 755 / && {INSIDE}=1 PODMETER_TEST_BIN=/podmeter exec /kernel --color=never"
    );
    command.args(["--", "sh", "-c", &inside]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    for text in [&output.stdout, &output.stderr] {
        String::from_utf8_lossy(text).lines().for_each(|line| eprintln!("guest: {line}"));
    }
    assert!(output.status.success(), "{} ended with {}", tool.display(), output.status);
    Completion::Completed
}

fn tool() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(TOOL) {
        return Some(path.into());
    }
    // The package's folder is one below the repository's.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    Some(repository.parent()?.join(BESIDE)).filter(|path| path.exists())
}

fn needs_libraries(program: &Path) -> bool {
    let output = Command::new("ldd").arg(program).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains(".so")
}

/// Returns how many bytes were added.
fn append(from: &Path, to: &Path) -> u64 {
    let mut to = std::fs::OpenOptions::new().append(true).open(to).unwrap();
    std::io::copy(&mut std::fs::File::open(from).unwrap(), &mut to).unwrap()
}

/// Without debug information where that can be left out: the guest has little memory.
fn copy(from: &Path, to: &Path) {
    let stripped = Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(from).status();
    if !stripped.is_ok_and(|status| status.success()) {
        std::fs::copy(from, to).unwrap();
    }
}
