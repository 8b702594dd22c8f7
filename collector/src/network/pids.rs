//! Finds processes of containers in `/proc` when `cgroup.procs` names none that we can see.
//!
//! An agent without `hostPID` reads zeros (v2) or nothing (v1) there, while the host's `/proc`, mounted
//! into its container, still shows every process with its cgroup.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, Mode, OFlags, openat};

use crate::cgroup::file::{self, Buffer, End};
use crate::cgroup::{ContainerId, parse, path};

/// Most processes looked at in one scan.
pub const MAX_PROCESSES: usize = 32_768;

/// Whether the text of a process's `cgroup` file names the container `id`, in whatever hierarchy.
#[must_use]
pub fn is_in(text: &[u8], id: &str) -> bool {
    ids(text).any(|found| found == id)
}

/// The container ids in the text of a process's `cgroup` file. Source: cgroups(7), `/proc/pid/cgroup`.
pub fn ids(text: &[u8]) -> impl Iterator<Item = &str> {
    parse::lines(text).filter_map(cgroup_path).flat_map(path::container_ids)
}

/// The path of a line `4:memory:/kubepods/…`.
fn cgroup_path(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()?.splitn(3, ':').nth(2)
}

/// Looks at every process once and answers one for each of the wanted containers that has any.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn scan(
    proc: &OwnedFd,
    wanted: &mut Vec<ContainerId>,
    buffer: &mut Buffer,
) -> io::Result<HashMap<ContainerId, u32>> {
    let mut found = HashMap::new();
    let directory =
        openat(proc, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut seen = 0;
    for entry in Dir::new(directory)? {
        let Ok(pid) = parse::digits(entry?.file_name().to_bytes())
            .and_then(|pid| u32::try_from(pid).map_err(|_| crate::faults::Kind::Malformed))
        else {
            continue;
        };
        seen += 1;
        if wanted.is_empty() || seen > MAX_PROCESSES {
            break;
        }
        // A process that ends meanwhile is none to take.
        let Ok(file) = open(proc, &pid.to_string(), "cgroup") else { continue };
        let Ok(text) = buffer.read(&file, End::EmptyRead) else { continue };
        // The outermost id comes first: a container inside a container is in the outer one's pod.
        if let Some(at) =
            ids(text.bytes).find_map(|id| wanted.iter().position(|wanted| wanted.as_str() == id))
        {
            found.insert(wanted.swap_remove(at), pid);
        }
    }
    Ok(found)
}

/// Opens `<proc>/<process>/<name>`.
pub(super) fn open(proc: impl AsFd, process: &str, name: &str) -> io::Result<OwnedFd> {
    let path = CString::new(format!("{process}/{name}"))?;
    file::open(proc, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    #[test]
    fn ids_come_from_the_path_even_behind_a_cgroup_namespace() {
        let text = format!(
            "12:memory:/kubepods/pod1/{A}\n0::/../cri-containerd-{B}.scope\ngarbage\n3:cpu\n"
        );
        assert_eq!(ids(text.as_bytes()).collect::<Vec<_>>(), [A, B]);
        assert!(is_in(text.as_bytes(), B));
        assert!(!is_in(b"0::/\n", B));
    }

    #[test]
    fn scan_takes_a_process_of_each_wanted_container_alone() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, id) in [("7", A), ("8", B), ("self", A)] {
            std::fs::create_dir(proc.path().join(pid)).unwrap();
            std::fs::write(proc.path().join(pid).join("cgroup"), format!("0::/docker/{id}\n"))
                .unwrap();
        }
        std::fs::create_dir(proc.path().join("9")).unwrap();
        let fd = OwnedFd::from(std::fs::File::open(proc.path()).unwrap());
        let mut wanted = vec![ContainerId::new(B)];
        let found = scan(&fd, &mut wanted, &mut Buffer::default()).unwrap();
        assert_eq!(found, HashMap::from([(ContainerId::new(B), 8)]));
        assert!(wanted.is_empty());
    }
}
