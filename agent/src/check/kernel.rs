//! What the kernel has to tell here, and whether we may hear it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use collector::cgroup::file::raise_limit;
use collector::cgroup::mounts::{Controller, Version};
use collector::cgroup::{Cgroup, Reader, Scope};
use collector::faults::{Kind, ReadErrors};
use collector::network;

use super::Finding;
use crate::config::Settings;

/// Files kept open for one cgroup.
const FILES: u64 = 17;
/// Files for everything else: connections, the node's own counters.
const OTHER_FILES: u64 = 256;

pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![proc(&settings.proc), node_pressure(&settings.proc)];
    let limit = raise_limit();
    match Reader::open(settings.cgroup.clone()) {
        Err(error) => {
            let source = std::error::Error::source(&error)
                .map(|source| format!(" ({source})"))
                .unwrap_or_default();
            findings.push(Finding::failed(
                "cgroup",
                format!("{error}{source}; no container has a series"),
                "mount the host's /sys/fs/cgroup, read-only, and name it with --cgroup-root",
            ));
        }
        Ok(mut reader) => {
            let mut errors = ReadErrors::default();
            reader.tick(&mut errors);
            findings.push(hierarchies(&reader));
            findings.extend(counters(&reader));
            findings.push(seen(reader.cgroups()));
            findings.push(permissions(&errors));
            findings.push(networks(&reader, &settings.proc));
            findings.push(file_limit(limit.unwrap_or(1024), reader.cgroups().len() as u64));
        }
    }
    findings
}

fn hierarchies(reader: &Reader) -> Finding {
    let found: Vec<_> =
        reader.hierarchies().flat_map(|hierarchy| hierarchy.controllers.iter().copied()).collect();
    let missing: Vec<_> =
        Controller::ALL.into_iter().filter(|controller| !found.contains(controller)).collect();
    let names = |controllers: &[Controller]| {
        controllers.iter().map(|controller| controller.as_str()).collect::<Vec<_>>().join(", ")
    };
    let version = match reader.version() {
        Version::V1 => "cgroup v1",
        Version::V2 => "cgroup v2",
    };
    if missing.is_empty() || (reader.version() == Version::V2 && missing == [Controller::Cpuacct]) {
        return Finding::ok("cgroup", format!("{version} with {}", names(&found)));
    }
    let lost = format!("{version} without {}: their series are lost", names(&missing));
    Finding::degraded(
        "cgroup",
        lost,
        "enable the controllers (kernel parameters, or cgroup.subtree_control)",
    )
}

/// Counters that only some kernels have.
fn counters(reader: &Reader) -> Vec<Finding> {
    if reader.version() == Version::V1 {
        let lost = "cgroup v1 has no pressure, memory.high and slab by container: container_pressure_* and a few others are lost";
        return vec![Finding::degraded(
            "container pressure",
            lost,
            "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
        )];
    }
    if reader.cgroups().is_empty() {
        return Vec::new();
    }
    let has = |what: fn(&Cgroup) -> bool| reader.cgroups().iter().any(what);
    let pressure = if has(|cgroup| cgroup.counters.pressure.cpu.is_some()) {
        Finding::ok("container pressure", "cpu.pressure, memory.pressure, io.pressure")
    } else {
        Finding::degraded(
            "container pressure",
            "the kernel keeps none: container_pressure_* is lost",
            "boot with psi=1",
        )
    };
    let peak = if has(|cgroup| cgroup.counters.memory.peak.is_some()) {
        Finding::ok("memory peak", "memory.peak")
    } else {
        Finding::degraded(
            "memory peak",
            "no memory.peak: container_memory_max_usage_bytes is lost",
            "use Linux 5.19 or newer",
        )
    };
    vec![pressure, peak]
}

fn seen(cgroups: &[Cgroup]) -> Finding {
    let pods = cgroups.iter().filter_map(|cgroup| match &cgroup.scope {
        Scope::Pod(uid) => Some(*uid),
        Scope::Container { pod, .. } => *pod,
    });
    let pods = pods.collect::<HashSet<_>>().len();
    let of_pods = cgroups
        .iter()
        .filter(|cgroup| matches!(cgroup.scope, Scope::Container { pod: Some(_), .. }))
        .count();
    let others = cgroups
        .iter()
        .filter(|cgroup| matches!(cgroup.scope, Scope::Container { pod: None, .. }))
        .count();
    let says = format!(
        "{pods} pods with {of_pods} containers (sandboxes counted), {others} containers that Kubernetes does not run"
    );
    if cgroups.is_empty() {
        return Finding::degraded(
            "seen",
            says,
            "nothing to do on a node without pods; else check cgroup.root and cgroup.subtree",
        );
    }
    Finding::ok("seen", says)
}

fn permissions(errors: &ReadErrors) -> Finding {
    let count = |wanted: Kind| {
        errors
            .counts()
            .filter(|(_, kind, _)| *kind == wanted)
            .map(|(_, _, count)| count)
            .sum::<u64>()
    };
    match (count(Kind::Denied), count(Kind::Io) + count(Kind::Malformed)) {
        (0, 0) => Finding::ok("permissions", "every cgroup file can be read"),
        (0, odd) => Finding::degraded(
            "permissions",
            format!("{odd} cgroup files cannot be read"),
            "run podmeter once --log debug for more",
        ),
        (denied, _) => Finding::failed(
            "permissions",
            format!("{denied} cgroup files are denied"),
            "check AppArmor and SELinux (deploy/README.md), or run as root",
        ),
    }
}

fn proc(proc: &Path) -> Finding {
    match fs::read(proc.join("1/net/dev")).and(fs::read(proc.join("stat"))) {
        Ok(_) => Finding::ok("proc", format!("{} can be read", proc.display())),
        Err(error) => Finding::failed(
            "proc",
            format!("cannot read {}: {error}; the node's series are lost", proc.display()),
            "mount the host's /proc and name it with --proc-root",
        ),
    }
}

fn node_pressure(proc: &Path) -> Finding {
    match fs::read(proc.join("pressure/cpu")) {
        Ok(_) => Finding::ok("node pressure", "/proc/pressure"),
        Err(error) => Finding::degraded(
            "node pressure",
            format!("{error}: node_pressure_* is lost"),
            "boot with psi=1",
        ),
    }
}

/// Whether the network counters of any pod can be read, in the way in which they are read later: it takes no
/// right over other processes, only the host's `/proc`.
fn networks(reader: &Reader, proc: &Path) -> Finding {
    const WHAT: &str = "pod network";
    let pods: HashSet<_> =
        reader.cgroups().iter().filter_map(|cgroup| cgroup.scope.pod()).collect();
    if pods.is_empty() {
        return Finding::ok(WHAT, "no pods to try it on");
    }
    let mut network = match network::Reader::open(proc) {
        Ok(network) => network,
        Err(error) => {
            return Finding::degraded(
                WHAT,
                format!("cannot read {}: {error}; container_network_* is lost", proc.display()),
                "mount the host's /proc and name it with --proc-root",
            );
        }
    };
    network.tick(reader, &|_| true, &mut ReadErrors::default());
    match pods.iter().filter(|uid| network.pod(**uid).is_some()).count() {
        0 => Finding::degraded(
            WHAT,
            "of no pod with a network of its own a process can be seen: container_network_* is lost",
            "mount the host's /proc; SELinux and hidepid may hide its files (deploy/README.md)",
        ),
        read => Finding::ok(WHAT, format!("the counters of {read} pods can be read")),
    }
}

fn file_limit(limit: u64, cgroups: u64) -> Finding {
    let needed = cgroups * FILES + OTHER_FILES;
    let says = format!("{limit} may be open, about {needed} are needed now");
    if limit >= needed {
        return Finding::ok("open files", says);
    }
    Finding::degraded(
        "open files",
        format!("{says}: some containers are read slower, or not"),
        "raise the limit (LimitNOFILE of the container runtime)",
    )
}
