//! Ties discovery and reading together: one call a tick, one row a cgroup.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use super::file::{self, Buffer, End, Kept, Spec};
use super::mounts::{Hierarchy, Version};
use super::tree::{self, Bounds, Change, Found, NodeId, Tree};
use super::{ContainerId, Counters, PodUid, mounts, parse, v1, v2};
use crate::faults::{Kind, ReadErrors, Source};

/// Where to read.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the cgroup file systems are mounted, `/sys/fs/cgroup` unless a container mounts the
    /// host's elsewhere.
    pub root: PathBuf,
    /// The mount table that says which hierarchy is where, such as `/proc/self/mountinfo`.
    pub mountinfo: PathBuf,
    /// Only cgroups below this path (in every hierarchy) are looked at; `/` for all.
    pub subtree: String,
}

/// One incarnation of one cgroup: a path that is made again gets a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupKey(pub u64);

/// Whose cgroup it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A pod's own cgroup, the parent of its containers.
    Pod(PodUid),
    /// A container's cgroup.
    Container {
        /// The pod it is in; `None` for a container that Kubernetes does not run.
        pod: Option<PodUid>,
        /// The runtime's id of it.
        id: ContainerId,
    },
}

impl Scope {
    /// The pod that it is or is in, as the kubelet names it.
    #[must_use]
    pub fn pod(&self) -> Option<PodUid> {
        match self {
            Self::Pod(uid) => Some(*uid),
            Self::Container { pod, .. } => *pod,
        }
    }
}

/// What one tick read of one cgroup.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Tells this incarnation from any other.
    pub key: CgroupKey,
    /// Pod or container.
    pub scope: Scope,
    /// Path below the hierarchy's root, with a leading `/`.
    pub path: Box<str>,
    /// The kernel's inode number; grows with creation time within one hierarchy.
    pub inode: u64,
    /// When the cgroup was made, as far as the directory's times tell; the first sight otherwise.
    pub created: SystemTime,
    /// Whether it was made while this reader was looking (then its counters began at 0 here).
    pub seen_from_start: bool,
    /// The latest counters.
    pub counters: Counters,
}

/// Reads every pod's and container's cgroup, keeping the files open between ticks.
#[derive(Debug)]
pub struct Reader {
    version: Version,
    /// The one that is walked comes first.
    hierarchies: Vec<Opened>,
    tree: Tree,
    rows: Vec<Cgroup>,
    /// What belongs to each of `rows`, in the same order.
    states: Vec<State>,
    row_of: HashMap<NodeId, usize>,
    node_of: HashMap<Scope, NodeId>,
    /// Found again elsewhere while the first one is still there: a duplicate or a leftover.
    shadowed: Vec<Found>,
    next_key: u64,
    changes: Vec<Change>,
    gone: Vec<NodeId>,
    buffer: Buffer,
    path: Vec<u8>,
}

/// A hierarchy's directory, kept so that no path is resolved from `/` again.
#[derive(Debug)]
struct Opened {
    fd: OwnedFd,
    hierarchy: Hierarchy,
}

/// What is kept of one row between ticks.
#[derive(Debug)]
struct State {
    node: NodeId,
    /// Ticks since it was found.
    age: u32,
    /// As many as there are specs, in the same order.
    files: Box<[Kept]>,
}

impl Reader {
    /// Finds the hierarchies; the cgroups themselves are found by the first [`Self::tick`].
    ///
    /// # Errors
    /// When no cgroup hierarchy with a usable controller is mounted.
    pub fn open(config: Config) -> Result<Self, mounts::Error> {
        Self::with_bounds(config, Bounds::default())
    }

    /// Like [`Self::open`], with other bounds.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn with_bounds(config: Config, bounds: Bounds) -> Result<Self, mounts::Error> {
        let Config { root, mountinfo, subtree } = config;
        let found = mounts::find(&root, &mountinfo)?;
        let hierarchies = found.list.into_iter().map(Opened::new).collect::<Result<Vec<_>, _>>()?;
        let walked = hierarchies.first().ok_or(mounts::Error::NoHierarchy { root })?;
        let fd = walked.fd.try_clone().map_err(|source| walked.error(source))?;
        let tree = Tree::new(fd, &walked.hierarchy.root, &subtree, bounds);
        Ok(Self {
            version: found.version,
            hierarchies,
            tree,
            rows: Vec::new(),
            states: Vec::new(),
            row_of: HashMap::new(),
            node_of: HashMap::new(),
            shadowed: Vec::new(),
            next_key: 0,
            changes: Vec::new(),
            gone: Vec::new(),
            buffer: Buffer::default(),
            path: Vec::new(),
        })
    }

    /// Looks for new and gone cgroups, then reads all.
    pub fn tick(&mut self, errors: &mut ReadErrors) {
        self.tree.update(&mut self.changes, errors);
        self.apply_changes();
        self.read(errors, |_| true);
        // What took a gone one's place belongs to this tick, too. If that goes as fast again, the next
        // tick sees to what comes then.
        for _ in 0..2 {
            if self.gone.is_empty() {
                return;
            }
            while let Some(node) = self.gone.pop() {
                self.tree.mark(node);
                self.remove(node);
            }
            self.tree.update_marked(&mut self.changes, errors);
            self.apply_changes();
            self.read(errors, |state| state.age == 0);
        }
        while let Some(node) = self.gone.pop() {
            self.tree.mark(node);
            self.remove(node);
        }
    }

    /// What the last tick read, pods and containers in no particular order.
    #[must_use]
    pub fn cgroups(&self) -> &[Cgroup] {
        &self.rows
    }

    /// Which version of the interface is read.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The hierarchies that are read, the one that is walked first.
    pub fn hierarchies(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.iter().map(|opened| &opened.hierarchy)
    }

    /// The first few process ids in a cgroup, its own processes only, as seen from this process's pid
    /// namespace: 0 (v2) or nothing (v1) stands for a process of another one.
    ///
    /// # Errors
    /// When `cgroup.procs` cannot be read.
    pub fn pids(&self, cgroup: &Cgroup, pids: &mut Vec<u32>) -> io::Result<()> {
        const MOST: usize = 8;
        pids.clear();
        let Some(opened) = self.hierarchies.first() else { return Ok(()) };
        let mut path = Vec::new();
        opened.path(&cgroup.path, "cgroup.procs", &mut path);
        let path = CString::from_vec_with_nul(path).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut buffer = Buffer::default();
        let text = buffer.read_start(file::open(&opened.fd, &path)?, 1024)?;
        let lines = parse::lines(text)
            .take(MOST)
            .filter_map(|line| u32::try_from(parse::digits(line).ok()?).ok());
        pids.extend(lines);
        Ok(())
    }

    fn specs(&self) -> &'static [Spec] {
        match self.version {
            Version::V1 => v1::FILES,
            Version::V2 => v2::FILES,
        }
    }

    fn apply_changes(&mut self) {
        let mut changes = std::mem::take(&mut self.changes);
        for change in changes.drain(..) {
            match change {
                Change::Gone(node) => self.remove(node),
                Change::New(found) => self.add(found),
            }
        }
        self.changes = changes;
    }

    fn add(&mut self, found: Found) {
        // The tree finds the outermost first, so what comes later is nested or a leftover.
        if self.node_of.contains_key(&found.scope) {
            self.shadowed.push(found);
            return;
        }
        self.node_of.insert(found.scope.clone(), found.node);
        self.row_of.insert(found.node, self.rows.len());
        self.next_key += 1;
        self.rows.push(Cgroup {
            key: CgroupKey(self.next_key),
            scope: found.scope,
            path: found.path,
            inode: found.inode,
            created: found.created.unwrap_or_else(SystemTime::now),
            seen_from_start: found.seen_from_start,
            counters: Counters::default(),
        });
        let files = self.specs().iter().map(|_| Kept::default()).collect();
        self.states.push(State { node: found.node, age: 0, files });
    }

    fn remove(&mut self, node: NodeId) {
        self.shadowed.retain(|found| found.node != node);
        let Some(row) = self.row_of.remove(&node) else { return };
        let gone = self.rows.swap_remove(row);
        self.states.swap_remove(row);
        if let Some(moved) = self.states.get(row) {
            self.row_of.insert(moved.node, row);
        }
        self.node_of.remove(&gone.scope);
        if let Some(at) = self.shadowed.iter().position(|found| found.scope == gone.scope) {
            let next = self.shadowed.swap_remove(at);
            self.add(next);
        }
    }

    fn read(&mut self, errors: &mut ReadErrors, wanted: impl Fn(&State) -> bool) {
        let specs = self.specs();
        for (row, state) in
            self.rows.iter_mut().zip(&mut self.states).filter(|(_, state)| wanted(state))
        {
            let mut reading = Reading {
                hierarchies: &self.hierarchies,
                buffer: &mut self.buffer,
                path: &mut self.path,
                errors: &mut *errors,
                is_doubtful: false,
            };
            clear(&mut row.counters);
            for (spec, kept) in specs.iter().zip(&mut state.files) {
                reading.read(spec, kept, row, state.age);
            }
            if self.version == Version::V1 {
                v1::finish(&mut row.counters);
            }
            state.age = state.age.saturating_add(1);
            if reading.is_doubtful && !self.tree.is_alive(state.node) {
                errors.add(Source::Cgroup, Kind::Vanished);
                self.gone.push(state.node);
            }
        }
    }
}

/// Sets all to `None` but keeps the list's memory.
fn clear(counters: &mut Counters) {
    let mut io = std::mem::take(&mut counters.io);
    io.clear();
    *counters = Counters { io, ..Counters::default() };
}

/// What reading one row's files needs.
struct Reading<'a> {
    hierarchies: &'a [Opened],
    buffer: &'a mut Buffer,
    path: &'a mut Vec<u8>,
    errors: &'a mut ReadErrors,
    /// Whether a kept file failed as those of a removed cgroup do.
    is_doubtful: bool,
}

impl Reading<'_> {
    fn read(&mut self, spec: &Spec, kept: &mut Kept, row: &mut Cgroup, age: u32) {
        if kept.file().is_none() && file::is_due(age) {
            self.open(spec, kept, &row.path);
        }
        let Some(file) = kept.file() else { return };
        match self.buffer.read(file, End::ShortRead) {
            Ok(text) => {
                if text.is_cut {
                    self.errors.add(Source::Cgroup, Kind::Bounded);
                }
                if let Err(kind) = (spec.fill)(text.bytes, &mut row.counters) {
                    self.errors.add(Source::Cgroup, kind);
                }
            }
            Err(error) if file::is_unsupported(&error) => kept.close(),
            Err(error) if Kind::of(&error) == Kind::Vanished => {
                self.is_doubtful = true;
                kept.close();
            }
            Err(error) => self.errors.add(Source::Cgroup, Kind::of(&error)),
        }
    }

    fn open(&mut self, spec: &Spec, kept: &mut Kept, path: &str) {
        let has = |opened: &&Opened| opened.hierarchy.controllers.contains(&spec.controller);
        let Some(opened) = self.hierarchies.iter().find(has) else { return };
        for name in spec.names {
            opened.path(path, name, self.path);
            let Ok(path) = CStr::from_bytes_with_nul(self.path) else { return };
            match kept.open(&opened.fd, path) {
                Ok(()) if kept.file().is_some() => return,
                Ok(()) => {}
                Err(error) if Kind::of(&error) == Kind::Vanished => self.is_doubtful = true,
                Err(error) => return self.errors.add(Source::Cgroup, Kind::of(&error)),
            }
        }
    }
}

impl Opened {
    fn new(hierarchy: Hierarchy) -> Result<Self, mounts::Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&hierarchy.mountpoint, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, hierarchy }),
            Err(error) => {
                Err(mounts::Error::Open { path: hierarchy.mountpoint, source: error.into() })
            }
        }
    }

    fn error(&self, source: io::Error) -> mounts::Error {
        mounts::Error::Open { path: self.hierarchy.mountpoint.clone(), source }
    }

    /// Writes the path of a cgroup's file, relative to the mount point and with a NUL.
    fn path(&self, cgroup: &str, name: &str, into: &mut Vec<u8>) {
        let cgroup = cgroup.trim_start_matches('/');
        // A bind mount of another part than the walked hierarchy's has no such cgroup: the file is absent.
        let below = tree::below(cgroup, self.hierarchy.root.trim_matches('/')).unwrap_or(cgroup);
        into.clear();
        for part in [below, if below.is_empty() { "" } else { "/" }, name, "\0"] {
            into.extend_from_slice(part.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
