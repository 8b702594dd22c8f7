//! Which of the node's mounts are file systems on real block devices, each device once.
//!
//! Network file systems are never touched: asking a dead server for its size blocks for ever.
//!
//! Source: proc(5), `/proc/pid/mountinfo`.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{major, minor, stat, statvfs};

use super::Filesystem;
use crate::cgroup::mounts::unescape;
use crate::cgroup::parse::{self, words};

/// Most file systems kept.
pub const MAX_FILESYSTEMS: usize = 64;

/// A mount to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Such as `/dev/sda1`, or a pool's name for zfs.
    pub source: String,
    /// Where it is on the node.
    pub mountpoint: String,
    /// Such as `ext4`.
    pub fstype: String,
    /// Major and minor number.
    pub device: (u32, u32),
    /// Whether the whole file system is mounted there, not one directory of it.
    is_whole: bool,
}

/// Reads a mount table: each device once, at its shortest whole mount. Pure.
#[must_use]
pub fn parse(table: &[u8]) -> Vec<Mount> {
    let mut remote = Vec::new();
    let mut mounts: HashMap<(u32, u32), Mount> = HashMap::new();
    for mount in table.split(|&byte| byte == b'\n').filter_map(mount) {
        if is_remote(&mount.fstype) {
            remote.push(PathBuf::from(mount.mountpoint));
        } else if is_block(&mount) {
            let rank = |mount: &Mount| (!mount.is_whole, mount.mountpoint.len());
            let known = mounts.entry(mount.device).or_insert_with(|| mount.clone());
            if rank(&mount) < rank(known) {
                *known = mount;
            }
        }
    }
    // To reach a mount below a network file system, the kernel would have to ask the server.
    let mut mounts: Vec<_> = mounts
        .into_values()
        .filter(|mount| !remote.iter().any(|above| Path::new(&mount.mountpoint).starts_with(above)))
        .collect();
    mounts.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    mounts
}

/// `36 31 8:1 / /mountpoint rw shared:1 - ext4 /dev/sda1 rw`.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = words(line).skip(2);
    let device = parse::device(words.next()?)?;
    let is_whole = words.next()? == b"/";
    let mountpoint = text(words.next()?)?;
    let mut words = words.skip_while(|&word| word != b"-").skip(1);
    let fstype = text(words.next()?)?;
    Some(Mount { source: text(words.next()?)?, mountpoint, fstype, device, is_whole })
}

fn text(word: &[u8]) -> Option<String> {
    String::from_utf8(unescape(word)).ok()
}

fn is_block(mount: &Mount) -> bool {
    const TYPES: [&str; 9] =
        ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "bcachefs", "vfat"];
    let is_known = TYPES.contains(&mount.fstype.as_str()) && mount.source.starts_with("/dev/");
    is_known || mount.fstype == "zfs"
}

fn is_remote(fstype: &str) -> bool {
    const TYPES: [&str; 12] = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "lustre", "gpfs", "ocfs2",
        "virtiofs",
    ];
    TYPES.contains(&fstype) || fstype.starts_with("fuse")
}

/// Asks the kernel for the size of one mount, `None` when it cannot be reached from here: below
/// `rootfs` there may be nothing, or another file system.
#[must_use]
pub fn measure(mount: &Mount, rootfs: &Path) -> Option<Filesystem> {
    let path = below(rootfs, Path::new(&mount.mountpoint));
    let seen = stat(&path).ok()?;
    // These give each subvolume or data set a device number of its own.
    let is_numbered = !matches!(mount.fstype.as_str(), "btrfs" | "zfs" | "bcachefs");
    if is_numbered && (major(seen.st_dev), minor(seen.st_dev)) != mount.device {
        return None;
    }
    let stat = statvfs(&path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some(Filesystem {
        device: Arc::from(mount.source.as_str()),
        mountpoint: Arc::from(mount.mountpoint.as_str()),
        fstype: Arc::from(mount.fstype.as_str()),
        size: bytes(stat.f_blocks),
        available: bytes(stat.f_bavail),
        free: bytes(stat.f_bfree),
        files: stat.f_files,
        files_free: stat.f_ffree,
    })
}

fn below(rootfs: &Path, mountpoint: &Path) -> PathBuf {
    let parts = mountpoint.components().filter(|part| matches!(part, Component::Normal(_)));
    parts.fold(rootfs.to_owned(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, expected: &[(&str, &str)]) {
        let mounts = parse(table.as_bytes());
        let found: Vec<_> =
            mounts.iter().map(|mount| (mount.source.as_str(), mount.mountpoint.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_block_device_is_taken_once_at_its_shortest_whole_mount() {
        check(
            "30 1 8:1 /var/lib/kubelet/pods/x /a rw - ext4 /dev/sda1 rw\n\
             27 1 8:1 / /long/path rw shared:1 - ext4 /dev/sda1 rw\n\
             28 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             29 1 8:17 / /data\\040disk rw master:2 propagate_from:3 - xfs /dev/sdb1 rw\n\
             31 1 0:50 / /tank rw - zfs tank/root rw\n\
             32 1 0:22 / /proc rw - proc proc rw\n\
             33 1 7:0 / /snap/x ro - squashfs /dev/loop0 ro\n",
            &[("/dev/sda1", "/"), ("/dev/sdb1", "/data disk"), ("tank/root", "/tank")],
        );
    }

    #[test]
    fn network_file_systems_and_what_is_below_them_are_left_alone() {
        check(
            "30 1 0:60 / /net rw - nfs4 server:/x rw\n31 30 8:1 / /net/disk rw - ext4 /dev/sda1 rw\n32 1 8:2 / /network rw - ext4 /dev/sda2 rw\n",
            &[("/dev/sda2", "/network")],
        );
    }

    #[test]
    fn garbage_is_no_mount() {
        check("garbage\n1 2 8:x / / rw - ext4 /dev/a rw\n28 1 8:1 / / rw ext4\n\n", &[]);
    }

    #[test]
    fn mount_that_cannot_be_reached_is_skipped() {
        let root = tempfile::tempdir().unwrap();
        let mount = parse(b"28 1 250:250 / /not/there rw - ext4 /dev/sda1 rw\n29 1 251:251 / / rw - ext4 /dev/sdb1 rw\n");
        assert_eq!(mount.len(), 2);
        assert!(mount.iter().all(|mount| measure(mount, root.path()).is_none()));
    }

    #[test]
    fn file_system_below_the_root_is_measured() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("data")).unwrap();
        let seen = stat(root.path()).unwrap();
        let table = format!(
            "28 1 {}:{} / /data rw - ext4 /dev/sda1 rw\n",
            major(seen.st_dev),
            minor(seen.st_dev)
        );
        let measured = measure(&parse(table.as_bytes())[0], root.path()).unwrap();
        assert_eq!(&*measured.mountpoint, "/data");
        assert!(measured.size >= measured.free && measured.free >= measured.available);
    }
}
