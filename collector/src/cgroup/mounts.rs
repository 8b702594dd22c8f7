//! Where the cgroup hierarchies are mounted, from `mountinfo`.
//!
//! Pure but for [`find`]. Source: proc(5), `/proc/pid/mountinfo`; Linux
//! `Documentation/admin-guide/cgroup-v1/cgroups.rst` for co-mounted controllers.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::parse::words;

/// What counts a cgroup's use of one resource. In the order in which a v1 hierarchy is chosen to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// `memory`.
    Memory,
    /// `cpuacct`; part of `cpu` on v2.
    Cpuacct,
    /// `cpu`.
    Cpu,
    /// `pids`.
    Pids,
    /// `blkio`; `io` on v2.
    Blkio,
}

impl Controller {
    /// All of them, the one to walk first.
    pub const ALL: [Self; 5] = [Self::Memory, Self::Cpuacct, Self::Cpu, Self::Pids, Self::Blkio];

    /// The kernel's name on v1.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpuacct => "cpuacct",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Blkio => "blkio",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.as_str() == name)
    }
}

/// Which interface the kernel files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Each controller may have a hierarchy of its own.
    V1,
    /// One hierarchy for all.
    V2,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Which part of it is mounted there: `/` for all, a path for a bind mount.
    pub root: String,
    /// Its controllers; on v2 those that it may have.
    pub controllers: Vec<Controller>,
}

/// The hierarchies to read, the one to walk first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchies {
    /// Which files they have.
    pub version: Version,
    /// At least one; no controller twice.
    pub list: Vec<Hierarchy>,
}

/// Why no hierarchy could be found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/proc` is not mounted or hidden: mount the host's and name its `self/mountinfo`.
    #[error("cannot read the mount table {}; mount /proc, or name another mountinfo file", path.display())]
    MountTable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory is absent or empty: the `DaemonSet` lacks its cgroup volume.
    #[error("no cgroup hierarchy below {}; mount the host's /sys/fs/cgroup there (hostPath), or set the root to where it is", root.display())]
    NoHierarchy {
        /// Where it was looked for.
        root: PathBuf,
    },
    /// Only hierarchies such as `name=systemd` are there, which count nothing.
    #[error("no usable controller in the cgroup hierarchies below {}; enable memory or cpu (kernel parameters cgroup_enable=memory, cgroup_no_v1=all)", root.display())]
    NoController {
        /// Where it was looked for.
        root: PathBuf,
    },
    /// The mount table names it, yet it cannot be opened.
    #[error("cannot open the cgroup hierarchy {}; run as root, or check the mount", path.display())]
    Open {
        /// The mount point.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Finds the hierarchies below `root`: from the mount table, else from how the directories look.
///
/// # Errors
/// When there is none, or none that counts anything.
pub fn find(root: &Path, mountinfo: &Path) -> Result<Hierarchies, Error> {
    let table = std::fs::read(mountinfo)
        .map_err(|source| Error::MountTable { path: mountinfo.to_owned(), source })?;
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut found = match parse(&table, &root) {
        Err(Error::NoHierarchy { .. }) => layout(&root)?,
        found => found?,
    };
    if found.version == Version::V2 {
        usable(&mut found, &root)?;
    }
    Ok(found)
}

/// Reads a mount table. Pure.
///
/// # Errors
/// When it names no hierarchy at or below `root`, or none that counts anything.
pub fn parse(table: &[u8], root: &Path) -> Result<Hierarchies, Error> {
    let mounts = visible(table, root);
    let mut list: Vec<Hierarchy> = Vec::new();
    for controller in Controller::ALL {
        let is_ours =
            |mount: &&Mount| mount.fstype == b"cgroup" && mount.controllers.contains(&controller);
        let Some(mount) = mounts.iter().filter(is_ours).min_by_key(|mount| mount.rank()) else {
            continue;
        };
        match list.iter_mut().find(|hierarchy| hierarchy.mountpoint == mount.mountpoint) {
            Some(hierarchy) => hierarchy.controllers.push(controller),
            None => list.push(mount.hierarchy(vec![controller])),
        }
    }
    if !list.is_empty() {
        return Ok(Hierarchies { version: Version::V1, list });
    }
    if let Some(mount) =
        mounts.iter().filter(|mount| mount.fstype == b"cgroup2").min_by_key(|mount| mount.rank())
    {
        return Ok(Hierarchies {
            version: Version::V2,
            list: vec![mount.hierarchy(Controller::ALL.to_vec())],
        });
    }
    let root = root.to_owned();
    Err(if mounts.iter().any(|mount| mount.fstype == b"cgroup") {
        Error::NoController { root }
    } else {
        Error::NoHierarchy { root }
    })
}

struct Mount<'a> {
    fstype: &'a [u8],
    mountpoint: PathBuf,
    root: String,
    controllers: Vec<Controller>,
}

impl Mount<'_> {
    /// Of several mounts of a hierarchy the one that shows most of it.
    fn rank(&self) -> (usize, usize) {
        (self.root.len(), self.mountpoint.as_os_str().len())
    }

    fn hierarchy(&self, controllers: Vec<Controller>) -> Hierarchy {
        Hierarchy { mountpoint: self.mountpoint.clone(), root: self.root.clone(), controllers }
    }
}

/// The mounts at and below `root` that no later mount hides.
fn visible<'a>(table: &'a [u8], root: &Path) -> Vec<Mount<'a>> {
    let mut mounts: Vec<Mount<'a>> = Vec::new();
    for mount in table.split(|&byte| byte == b'\n').filter_map(mount) {
        // A mount covers what was there before, itself included; lines are in the order of mounting.
        mounts.retain(|earlier| !earlier.mountpoint.starts_with(&mount.mountpoint));
        mounts.push(mount);
    }
    mounts.retain(|mount| mount.mountpoint.starts_with(root));
    mounts
}

/// One line: `36 31 0:35 /root /mountpoint rw shared:1 - cgroup cgroup rw,memory`.
fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut words = words(line).skip(3);
    let (root, mountpoint) = (words.next()?, words.next()?);
    let mut words = words.skip_while(|&word| word != b"-").skip(1);
    let fstype = words.next()?;
    let options = words.nth(1).unwrap_or_default();
    let root = String::from_utf8(unescape(root)).ok()?;
    // Seen from inside a cgroup namespace the host's root is `/..`; below it the paths are the host's.
    let root = if root.starts_with("/..") { "/".to_owned() } else { root };
    let options = std::str::from_utf8(options).unwrap_or_default();
    let controllers = options.split(',').filter_map(Controller::parse).collect();
    Some(Mount {
        fstype,
        mountpoint: OsString::from_vec(unescape(mountpoint)).into(),
        root,
        controllers,
    })
}

/// Undoes `\040` for a space and the like; anything else stays as it is.
#[must_use]
pub fn unescape(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, more)) = rest.split_first() {
        let code =
            more.first_chunk::<3>().filter(|_| byte == b'\\').and_then(|digits| octal(*digits));
        text.push(code.unwrap_or(byte));
        rest = if code.is_some() { &more[3..] } else { more };
    }
    text
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

/// For a tree that is no mount, such as a copy or a test's: tells v1 and v2 by the names in it.
fn layout(root: &Path) -> Result<Hierarchies, Error> {
    let hierarchy = |mountpoint: PathBuf, controllers| Hierarchy {
        mountpoint,
        root: "/".to_owned(),
        controllers,
    };
    if root.join("cgroup.controllers").exists() {
        return Ok(Hierarchies {
            version: Version::V2,
            list: vec![hierarchy(root.to_owned(), Controller::ALL.to_vec())],
        });
    }
    let mut names: Vec<String> = std::fs::read_dir(root)
        .map_err(|_| Error::NoHierarchy { root: root.to_owned() })?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    // Distributions link cpu and cpuacct to cpu,cpuacct: prefer the real directory's longer name.
    names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let mut list: Vec<Hierarchy> = Vec::new();
    for controller in Controller::ALL {
        let is_ours = |name: &&String| name.split(',').any(|part| part == controller.as_str());
        let Some(name) = names.iter().find(is_ours) else { continue };
        let path = root.join(name);
        match list.iter_mut().find(|hierarchy| hierarchy.mountpoint == path) {
            Some(known) => known.controllers.push(controller),
            None if path.is_dir() => list.push(hierarchy(path, vec![controller])),
            None => {}
        }
    }
    if list.is_empty() {
        Err(Error::NoHierarchy { root: root.to_owned() })
    } else {
        Ok(Hierarchies { version: Version::V1, list })
    }
}

/// Refuses a v2 hierarchy whose controllers are all bound to v1 hierarchies that are not mounted here.
fn usable(found: &mut Hierarchies, root: &Path) -> Result<(), Error> {
    let Some(hierarchy) = found.list.first_mut() else {
        return Err(Error::NoHierarchy { root: root.to_owned() });
    };
    let path = hierarchy.mountpoint.join("cgroup.controllers");
    let names = std::fs::read_to_string(&path).map_err(|source| Error::Open { path, source })?;
    let has = |name: &str| names.split_whitespace().any(|word| word == name);
    // cpu.stat tells CPU time and the pressure files are there whatever is enabled, but a hierarchy
    // with no controller at all holds processes, not limits: the other half of a hybrid host.
    if ["memory", "cpu", "io", "pids"].into_iter().any(has) {
        Ok(())
    } else {
        Err(Error::NoController { root: root.to_owned() })
    }
}

#[cfg(test)]
mod tests;
