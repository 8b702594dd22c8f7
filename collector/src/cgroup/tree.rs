//! Notices new and gone cgroups without walking the tree.
//!
//! Every directory that can get a cgroup of interest is kept open, and one `fstat` a tick tells whether
//! it changed: on the kernel's cgroup file systems `st_nlink` is 2 plus the number of children, while
//! their times cannot be relied on; on ordinary file systems the modification time changes. A child that
//! was replaced by another between two ticks leaves the count as it was: then the gone child's kept files
//! fail, and [`Tree::mark`] has its parent listed. Containers of pods are leaves; nothing below them is
//! looked at.
//!
//! What a path means is [`super::path`]'s business, what a cgroup counts [`super::Reader`]'s.

mod look;

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::{FileType, RawDir, SeekFrom, seek};

use self::look::{Identity, Seen, Signature, look, open, signature};
use super::{Scope, path};
use crate::faults::{Kind, ReadErrors, Source};

/// How much of a tree is looked at; what is beyond is counted as [`Kind::Bounded`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Levels below the root.
    pub depth: usize,
    /// Directories kept open.
    pub directories: usize,
    /// Pods and containers.
    pub cgroups: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { depth: 12, directories: 20_000, cgroups: 2_000 }
    }
}

/// Names a cgroup until it is [`Change::Gone`]; may then be used again.
pub type NodeId = usize;

/// What happened to a pod's or container's cgroup.
#[derive(Debug)]
pub enum Change {
    /// It was found.
    New(Found),
    /// It is gone, or another took its place (then [`Change::New`] follows).
    Gone(NodeId),
}

/// A pod's or container's cgroup.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name here.
    pub node: NodeId,
    /// Whose it is.
    pub scope: Scope,
    /// Path below the hierarchy's root.
    pub path: Box<str>,
    /// Its directory's inode number.
    pub inode: u64,
    /// When its directory was made, as far as its times tell.
    pub created: Option<SystemTime>,
    /// Whether its parent had been seen without it.
    pub seen_from_start: bool,
}

/// The directories of one hierarchy below one path.
#[derive(Debug)]
pub struct Tree {
    mount: OwnedFd,
    /// The root's path below `mount`, `.` for itself.
    top: CString,
    /// The root's path below the hierarchy's root, empty for itself.
    top_path: String,
    /// How much of a path is the root's and means nothing, because it lies inside a container.
    skip: usize,
    bounds: Bounds,
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    root: Option<NodeId>,
    /// Directories to list, nearest to the root first.
    due: Vec<NodeId>,
    cgroups: usize,
    directories: usize,
    round: u64,
    sweep: NodeId,
    listing: Vec<u8>,
}

#[derive(Debug)]
struct Node {
    parent: Option<NodeId>,
    name: CString,
    path: Box<str>,
    depth: usize,
    identity: Identity,
    is_cgroup: bool,
    /// The last listing of the parent that had it.
    round: u64,
    directory: Option<Directory>,
}

#[derive(Debug)]
struct Directory {
    fd: OwnedFd,
    signature: Option<Signature>,
    children: HashMap<Box<str>, NodeId>,
    is_due: bool,
    /// Whether a bound left out a child that may fit later.
    is_cut: bool,
    /// Whether every child not in `children` was made after it was looked for.
    is_known: bool,
}

impl Tree {
    /// A tree at `subtree` (with a leading `/`, `/` for all) of the hierarchy mounted at `mount`, whose
    /// top there is the cgroup `mount_root`. Nothing is read before [`Self::update`]; the subtree may be
    /// absent until later.
    #[must_use]
    pub fn new(mount: OwnedFd, mount_root: &str, subtree: &str, bounds: Bounds) -> Self {
        let (mount_root, subtree) = (mount_root.trim_matches('/'), subtree.trim_matches('/'));
        let (below, path) = match below(subtree, mount_root) {
            Some(below) => (below, subtree),
            // The mount shows only a part of the subtree: take all of it.
            None => ("", mount_root),
        };
        let top_path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let is_inside = matches!(path::enclosing(&top_path), Some(Scope::Container { .. }));
        Self {
            mount,
            top: CString::new(if below.is_empty() { "." } else { below })
                .unwrap_or_else(|_| c".".to_owned()),
            skip: if is_inside { top_path.len() } else { 0 },
            top_path,
            bounds,
            nodes: Vec::new(),
            free: Vec::new(),
            root: None,
            due: Vec::new(),
            cgroups: 0,
            directories: 0,
            round: 0,
            sweep: 0,
            listing: Vec::with_capacity(16 * 1024),
        }
    }

    /// Looks at every kept directory once and lists those that changed. Gone ones come before new ones
    /// of the same name.
    pub fn update(&mut self, changes: &mut Vec<Change>, errors: &mut ReadErrors) {
        self.check_root(changes, errors);
        for node in 0..self.nodes.len() {
            if self.has_changed(node) {
                self.queue(node);
            }
        }
        self.check_some();
        self.update_marked(changes, errors);
    }

    /// Lists the directories that [`Self::mark`] named.
    pub fn update_marked(&mut self, changes: &mut Vec<Change>, errors: &mut ReadErrors) {
        // Directories found on the way are appended, so this goes level by level: the outermost first.
        let mut at = 0;
        while let Some(&node) = self.due.get(at) {
            at += 1;
            self.list(node, changes, errors);
        }
        self.due.clear();
    }

    /// Notes that the cgroup is gone, so that its parent is listed.
    pub fn mark(&mut self, node: NodeId) {
        let parent = self.node(node).and_then(|node| node.parent);
        if let Some(parent) = parent {
            self.queue(parent);
        }
    }

    /// Whether the cgroup still has its name. A kept file may fail although it does: v2 takes a file
    /// away when its controller is disabled.
    #[must_use]
    pub fn is_alive(&self, node: NodeId) -> bool {
        let Some(node) = self.node(node) else { return false };
        let seen = match node.parent.and_then(|parent| self.directory(parent)) {
            Some(parent) => look(&parent.fd, &node.name),
            None => look(&self.mount, &self.top),
        };
        seen.is_ok_and(|seen| seen.identity == node.identity)
    }

    fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(node)?.as_ref()
    }

    fn directory(&self, node: NodeId) -> Option<&Directory> {
        self.node(node)?.directory.as_ref()
    }

    fn directory_mut(&mut self, node: NodeId) -> Option<&mut Directory> {
        self.nodes.get_mut(node)?.as_mut()?.directory.as_mut()
    }

    fn queue(&mut self, node: NodeId) {
        if let Some(directory) = self.directory_mut(node)
            && !std::mem::replace(&mut directory.is_due, true)
        {
            self.due.push(node);
        }
    }

    fn check_root(&mut self, changes: &mut Vec<Change>, errors: &mut ReadErrors) {
        if let Some(root) = self.root {
            if self.is_alive(root) {
                return;
            }
            self.remove(root, changes);
            self.root = None;
        }
        match look(&self.mount, &self.top)
            .and_then(|seen| Ok((seen, open(&self.mount, &self.top)?)))
        {
            Ok((seen, fd)) => {
                let directory = Directory::new(fd, self.round > 0);
                let found = self.found(&self.top_path, 0, &seen, self.round > 0);
                let node = self.insert(Node {
                    parent: None,
                    name: self.top.clone(),
                    path: self.top_path.as_str().into(),
                    depth: 0,
                    identity: seen.identity,
                    is_cgroup: found.is_some(),
                    round: self.round,
                    directory: Some(directory),
                });
                self.root = Some(node);
                changes.extend(found.map(|found| Change::New(Found { node, ..found })));
                self.queue(node);
            }
            // A subtree that nobody has made yet is no fault.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.round = self.round.max(1),
            Err(error) => errors.add(Source::Cgroup, Kind::of(&error)),
        }
    }

    fn has_changed(&self, node: NodeId) -> bool {
        let Some(directory) = self.directory(node) else { return false };
        let has_room =
            self.cgroups < self.bounds.cgroups && self.directories < self.bounds.directories;
        (directory.is_cut && has_room) || signature(directory.fd.as_fd()) != directory.signature
    }

    /// Compares a few directories with what has their name now. Only for those without kept files: an
    /// empty slice that was replaced has no other way to show it.
    fn check_some(&mut self) {
        for _ in 0..self.nodes.len().div_ceil(32) {
            self.sweep = (self.sweep + 1) % self.nodes.len();
            let is_kept = self
                .node(self.sweep)
                .is_some_and(|node| node.directory.is_some() && !node.is_cgroup);
            if is_kept && !self.is_alive(self.sweep) {
                self.mark(self.sweep);
            }
        }
    }

    fn list(&mut self, node: NodeId, changes: &mut Vec<Change>, errors: &mut ReadErrors) {
        // Taken out for the time of the listing, so that children can be added meanwhile.
        let Some(mut directory) =
            self.nodes.get_mut(node).and_then(|node| node.as_mut()?.directory.take())
        else {
            return;
        };
        let mut buffer = std::mem::take(&mut self.listing);
        self.round += 1;
        directory.is_due = false;
        directory.is_cut = false;
        let was_listed = directory.signature.is_some();
        // Before the listing: what changes while it runs is noticed in the next tick.
        directory.signature = signature(directory.fd.as_fd());
        let listed =
            self.list_names(node, &mut directory, buffer.spare_capacity_mut(), (changes, errors));
        self.listing = buffer;
        match listed {
            Ok(()) => {
                let gone: Vec<_> = directory
                    .children
                    .extract_if(|_, child| {
                        self.node(*child).is_none_or(|child| child.round != self.round)
                    })
                    .collect();
                for (_, child) in gone {
                    self.remove(child, changes);
                }
                directory.is_known = !directory.is_cut;
            }
            // The kernel does not list a directory that was removed while it was open.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                for (_, child) in directory.children.drain() {
                    self.remove(child, changes);
                }
            }
            Err(error) => {
                directory.signature = None;
                errors.add(Source::Cgroup, Kind::of(&error));
            }
        }
        if was_listed && directory.children.is_empty() {
            // Perhaps it is empty because it is gone itself.
            self.mark(node);
        }
        if let Some(Some(node)) = self.nodes.get_mut(node) {
            node.directory = Some(directory);
        }
    }

    fn list_names(
        &mut self,
        node: NodeId,
        directory: &mut Directory,
        buffer: &mut [MaybeUninit<u8>],
        (changes, errors): (&mut Vec<Change>, &mut ReadErrors),
    ) -> io::Result<()> {
        let Directory { fd, children, is_cut, is_known, .. } = directory;
        let place = Place { parent: node, fd: fd.as_fd(), is_known: *is_known };
        seek(place.fd, SeekFrom::Start(0))?;
        let mut entries = RawDir::new(place.fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if !matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                continue;
            }
            let Ok(name) = entry.file_name().to_str() else {
                errors.add(Source::Cgroup, Kind::Malformed);
                continue;
            };
            if matches!(name, "." | "..") || path::is_ignored(name) {
                continue;
            }
            // Gone between listing and looking: its parent has changed again and is listed again.
            let Ok(seen) = look(place.fd, entry.file_name()) else { continue };
            if !seen.is_directory {
                continue;
            }
            if let Some(&child) = children.get(name) {
                if let Some(Some(known)) = self.nodes.get_mut(child)
                    && known.identity == seen.identity
                {
                    known.round = self.round;
                    continue;
                }
                children.remove(name);
                self.remove(child, changes);
            }
            match self.add(&place, entry.file_name(), name, &seen) {
                Ok((child, found)) => {
                    children.insert(name.into(), child);
                    changes.extend(found.map(Change::New));
                }
                Err(refusal) => {
                    *is_cut |= refusal.is_cut;
                    errors.add(Source::Cgroup, refusal.kind);
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        place: &Place<'_>,
        name: &CStr,
        text: &str,
        seen: &Seen,
    ) -> Result<(NodeId, Option<Found>), Refusal> {
        let full = Refusal { kind: Kind::Bounded, is_cut: true };
        let above =
            self.node(place.parent).ok_or(Refusal { kind: Kind::Vanished, is_cut: false })?;
        let depth = above.depth + 1;
        if depth > self.bounds.depth {
            return Err(Refusal { is_cut: false, ..full });
        }
        let path = format!("{}/{text}", above.path);
        let found = self.found(&path, 0, seen, place.is_known);
        if found.is_some() && self.cgroups >= self.bounds.cgroups {
            return Err(full);
        }
        let is_leaf = found
            .as_ref()
            .is_some_and(|found| matches!(found.scope, Scope::Container { pod: Some(_), .. }));
        let below = if is_leaf {
            None
        } else if self.directories >= self.bounds.directories {
            return Err(full);
        } else {
            let fd = open(place.fd, name)
                .map_err(|error| Refusal { kind: Kind::of(&error), is_cut: true })?;
            Some(Directory::new(fd, place.is_known))
        };
        let node = self.insert(Node {
            parent: Some(place.parent),
            name: name.to_owned(),
            path: path.into(),
            depth,
            identity: seen.identity,
            is_cgroup: found.is_some(),
            round: self.round,
            directory: below,
        });
        self.queue(node);
        Ok((node, found.map(|found| Found { node, ..found })))
    }

    fn found(&self, path: &str, node: NodeId, seen: &Seen, seen_from_start: bool) -> Option<Found> {
        let scope = path::classify(path.get(self.skip..)?)?;
        Some(Found {
            node,
            scope,
            path: path.into(),
            inode: seen.identity.inode,
            created: seen.created,
            seen_from_start,
        })
    }

    fn insert(&mut self, node: Node) -> NodeId {
        self.cgroups += usize::from(node.is_cgroup);
        self.directories += usize::from(node.directory.is_some());
        if let Some(id) = self.free.pop() {
            self.nodes[id] = Some(node);
            return id;
        }
        self.nodes.push(Some(node));
        self.nodes.len() - 1
    }

    /// Forgets a node and all below it.
    fn remove(&mut self, node: NodeId, changes: &mut Vec<Change>) {
        let mut stack = vec![node];
        while let Some(id) = stack.pop() {
            let Some(node) = self.nodes.get_mut(id).and_then(Option::take) else { continue };
            self.free.push(id);
            if node.is_cgroup {
                self.cgroups -= 1;
                changes.push(Change::Gone(id));
            }
            if let Some(directory) = node.directory {
                self.directories -= 1;
                stack.extend(directory.children.into_values());
            }
        }
    }
}

impl Directory {
    /// `is_known`: it was made under our eyes, so that all in it was, too.
    fn new(fd: OwnedFd, is_known: bool) -> Self {
        Self {
            fd,
            signature: None,
            children: HashMap::new(),
            is_due: false,
            is_cut: false,
            is_known,
        }
    }
}

/// The directory that is being listed.
struct Place<'a> {
    parent: NodeId,
    fd: BorrowedFd<'a>,
    is_known: bool,
}

/// Why a directory was not taken in.
struct Refusal {
    kind: Kind,
    /// Whether to try again.
    is_cut: bool,
}

/// `path` relative to `root`, both without slashes at their ends.
pub(super) fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    if root.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(root)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

#[cfg(test)]
mod tests;
