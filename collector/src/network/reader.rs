//! One kept `net/dev` per pod, opened through one of the pod's processes.
//!
//! An open file keeps its network namespace alive, so it is given up as soon as its process or its
//! container goes. Which pods are on the host's network is for the caller to say; where nobody told it,
//! the process's own namespace does.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::{Interface, dev, hosts, pids};
use crate::cgroup::file::{Buffer, End};
use crate::cgroup::{self, Cgroup, CgroupKey, ContainerId, PodUid, Scope};
use crate::faults::{Kind, ReadErrors, Source};

/// Most interfaces kept of one pod.
const MAX_INTERFACES: usize = 16;

/// Longest wait between two scans of `/proc` for the same pod, in ticks.
const MAX_WAIT: u64 = 64;

/// In how many ticks every pod's process is once looked at. On v1 the text of its `cgroup` costs the kernel
/// more than all else that a pod's network is read for. Meanwhile the numbers stay right, since every
/// process of a pod is in the same network namespace; at worst that is kept a little longer.
const LOOK_EVERY: u64 = 8;

/// Reads the interfaces of pods.
#[derive(Debug)]
pub struct Reader {
    proc: OwnedFd,
    pods: HashMap<PodUid, Pod>,
    tick: u64,
    /// Whether `cgroup.procs` has named another container's process: then it names all of them.
    is_direct: bool,
    buffer: Buffer,
    pids: Vec<u32>,
}

#[derive(Debug, Default)]
struct Pod {
    /// The last tick in which it was wanted and had a container.
    seen: u64,
    source: Option<Opened>,
    interfaces: Vec<Interface>,
    /// Scans that found none.
    misses: u32,
    /// No scan for it before this tick.
    wait_until: u64,
}

/// A process of a pod's container, and its files.
#[derive(Debug)]
struct Opened {
    container: CgroupKey,
    /// The last tick in which that container was there.
    seen: u64,
    /// Fails, or tells another path, once the process has ended.
    cgroup: OwnedFd,
    cgroup_text: Box<[u8]>,
    dev: OwnedFd,
}

impl Reader {
    /// Reads below `proc`, the host's `/proc`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(proc: &Path) -> io::Result<Self> {
        let proc = std::fs::File::open(proc)?.into();
        Ok(Self {
            proc,
            pods: HashMap::new(),
            tick: 0,
            is_direct: false,
            buffer: Buffer::default(),
            pids: Vec::new(),
        })
    }

    /// Reads every pod that has a container among `cgroups` and is `wanted`; forgets the others.
    pub fn tick(
        &mut self,
        cgroups: &cgroup::Reader,
        wanted: &dyn Fn(PodUid) -> bool,
        errors: &mut ReadErrors,
    ) {
        self.tick += 1;
        self.note(cgroups.cgroups(), wanted);
        let tick = self.tick;
        self.pods.retain(|_, pod| pod.seen == tick);
        for pod in self.pods.values_mut() {
            let is_stale = pod.source.as_ref().is_some_and(|source| {
                source.seen != tick || (source.is_due(tick) && !source.is_alive(&mut self.buffer))
            });
            if is_stale {
                *pod = Pod { seen: tick, ..Pod::default() };
            }
        }
        if self.pods.values().any(|pod| pod.source.is_none()) {
            self.search(cgroups, errors);
        }
        self.read(errors);
    }

    /// The interfaces of a pod as of the last tick, `lo` left out; `None` when it is not wanted or no
    /// process of it is known.
    #[must_use]
    pub fn pod(&self, uid: PodUid) -> Option<&[Interface]> {
        let pod = self.pods.get(&uid)?;
        pod.source.as_ref().map(|_| pod.interfaces.as_slice())
    }

    fn note(&mut self, cgroups: &[Cgroup], wanted: &dyn Fn(PodUid) -> bool) {
        for cgroup in cgroups {
            let Scope::Container { pod: Some(uid), .. } = cgroup.scope else { continue };
            if !wanted(uid) {
                continue;
            }
            let pod = self.pods.entry(uid).or_default();
            pod.seen = self.tick;
            if let Some(source) = &mut pod.source
                && source.container == cgroup.key
            {
                source.seen = self.tick;
            }
        }
    }

    /// Finds a process for each pod that has none: from its containers' `cgroup.procs`, else by one
    /// scan of all processes.
    fn search(&mut self, cgroups: &cgroup::Reader, errors: &mut ReadErrors) {
        let mut missing = Vec::new();
        for cgroup in cgroups.cgroups() {
            let Scope::Container { pod: Some(uid), id } = &cgroup.scope else { continue };
            if self.pods.get(uid).is_none_or(|pod| pod.source.is_some()) {
                continue;
            }
            match self.by_procs(cgroups, cgroup, id) {
                Ok(Some(source)) => self.found(*uid, source),
                Ok(None) => missing.push((cgroup.key, *uid, id.clone())),
                Err(error) => {
                    missing.push((cgroup.key, *uid, id.clone()));
                    errors.add(Source::Network, Kind::of(&error));
                }
            }
        }
        if !self.is_direct {
            self.by_scan(&missing, errors);
        }
        for pod in self.pods.values_mut().filter(|pod| pod.is_due(self.tick)) {
            pod.misses = pod.misses.saturating_add(1);
            pod.wait_until = self.tick + 2_u64.saturating_pow(pod.misses - 1).min(MAX_WAIT);
        }
    }

    fn by_procs(
        &mut self,
        cgroups: &cgroup::Reader,
        cgroup: &Cgroup,
        id: &ContainerId,
    ) -> io::Result<Option<Opened>> {
        let mut pids = std::mem::take(&mut self.pids);
        let listed = cgroups.pids(cgroup, &mut pids);
        let own = pids.contains(&std::process::id());
        let mut source = None;
        for pid in pids.iter().filter(|pid| **pid != 0) {
            source = self.source(&pid.to_string(), cgroup.key, Some(id));
            if source.is_some() {
                self.is_direct |= !own;
                break;
            }
        }
        self.pids = pids;
        listed?;
        if source.is_none() && own {
            // Our own cgroup reads as `/` in a cgroup namespace, and our pid differs in the host's
            // /proc, yet `self` there is us.
            source = self.source("self", cgroup.key, None);
        }
        Ok(source)
    }

    fn by_scan(&mut self, missing: &[(CgroupKey, PodUid, ContainerId)], errors: &mut ReadErrors) {
        let tick = self.tick;
        let is_missing = |(_, uid, _): &&(CgroupKey, PodUid, ContainerId)| {
            self.pods.get(uid).is_some_and(|pod| pod.is_due(tick))
        };
        let mut wanted: Vec<_> =
            missing.iter().filter(is_missing).map(|(_, _, id)| id.clone()).collect();
        if wanted.is_empty() {
            return;
        }
        let found = match pids::scan(&self.proc, &mut wanted, &mut self.buffer) {
            Ok(found) => found,
            Err(error) => return errors.add(Source::Network, Kind::of(&error)),
        };
        for (key, uid, id) in missing {
            if let Some(pid) = found.get(id)
                && self.pods.get(uid).is_some_and(|pod| pod.is_due(tick))
                && let Some(source) = self.source(&pid.to_string(), *key, Some(id))
            {
                self.found(*uid, source);
            }
        }
    }

    fn found(&mut self, uid: PodUid, source: Opened) {
        if let Some(pod) = self.pods.get_mut(&uid) {
            *pod = Pod { seen: pod.seen, source: Some(source), ..Pod::default() };
        }
    }

    /// Opens a process's files, if it is in the container `id` (a pid of another pid namespace may name
    /// any other process in this `/proc`) and has left the host's network.
    fn source(
        &mut self,
        process: &str,
        container: CgroupKey,
        id: Option<&ContainerId>,
    ) -> Option<Opened> {
        let cgroup = pids::open(&self.proc, process, "cgroup").ok()?;
        // Before the check, so that a pid that is used again meanwhile is not taken for the old one.
        let dev = pids::open(&self.proc, process, "net/dev").ok()?;
        let text = self.buffer.read(&cgroup, End::EmptyRead).ok()?.bytes;
        if id.is_some_and(|id| !pids::is_in(text, id.as_str())) {
            return None;
        }
        let cgroup_text = text.into();
        if hosts::is_hosts(&self.proc, &dev, &mut self.buffer) {
            return None;
        }
        Some(Opened { container, seen: self.tick, cgroup_text, cgroup, dev })
    }

    fn read(&mut self, errors: &mut ReadErrors) {
        for pod in self.pods.values_mut() {
            let Some(source) = &pod.source else { continue };
            let outcome = match self.buffer.read(&source.dev, End::EmptyRead) {
                Ok(text) => {
                    dev::parse(text.bytes, |name| name != "lo", MAX_INTERFACES, &mut pod.interfaces)
                }
                Err(error) => {
                    pod.source = None;
                    Err(Kind::of(&error))
                }
            };
            if let Err(kind) = outcome {
                errors.add(Source::Network, kind);
            }
        }
    }
}

impl Pod {
    /// Whether a scan may look for it. Asking its cgroup costs little and is done every tick.
    fn is_due(&self, tick: u64) -> bool {
        self.source.is_none() && self.wait_until <= tick
    }
}

impl Opened {
    /// Whether this tick looks at its process: a few pods' turn in each, by their containers' keys.
    fn is_due(&self, tick: u64) -> bool {
        tick.wrapping_add(self.container.0).is_multiple_of(LOOK_EVERY)
    }

    /// Reading fails once the process is reaped; before that it has left its cgroup.
    fn is_alive(&self, buffer: &mut Buffer) -> bool {
        buffer.read(&self.cgroup, End::EmptyRead).is_ok_and(|text| text.bytes == &*self.cgroup_text)
    }
}

#[cfg(test)]
mod tests;
