//! Pure parsers of the node's `/proc` files.
//!
//! They allocate nothing and never panic; an unknown key is skipped, a known one with a bad value is a
//! fault. Source: proc(5) and Linux `Documentation/filesystems/proc.rst`.

use std::time::{Duration, SystemTime};

use super::{CpuModes, MemInfo};
use crate::cgroup::parse::{Outcome, digits, flat, keep, lines, words};
use crate::cgroup::v1::from_ticks;
use crate::faults::Kind;

/// The first line of `/proc/stat`: `cpu  1 2 3 4 5 6 7 8 9 10`, in `USER_HZ`.
///
/// # Errors
/// [`Kind::Malformed`] when it is not that line or has fewer than four numbers.
pub fn cpu(text: &[u8]) -> Result<CpuModes, Kind> {
    let line = lines(text).next().ok_or(Kind::Malformed)?;
    let mut words = words(line);
    if words.next() != Some(b"cpu") {
        return Err(Kind::Malformed);
    }
    let mut times = [Duration::ZERO; 8];
    let mut count = 0;
    for (time, word) in times.iter_mut().zip(words) {
        *time = from_ticks(digits(word)?);
        count += 1;
    }
    // Kernels before 2.6 have the first four only; fewer is no line of any kernel.
    let [user, nice, system, idle, iowait, irq, softirq, steal] = times;
    if count < 4 {
        Err(Kind::Malformed)
    } else {
        Ok(CpuModes { user, nice, system, idle, iowait, irq, softirq, steal })
    }
}

/// The rest of `/proc/stat` that is used: how many CPUs are online, and when the kernel booted.
///
/// # Errors
/// [`Kind::Malformed`] when the line `btime` is no number.
pub fn cpus_and_boot(text: &[u8]) -> (u32, Result<Option<SystemTime>, Kind>) {
    let mut cpus = 0;
    let mut booted = Ok(None);
    for (key, word) in flat(text) {
        match key {
            b"btime" => {
                booted = digits(word).map(|seconds| {
                    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
                });
            }
            [b'c', b'p', b'u', number @ ..] if digits(number).is_ok() => cpus += 1,
            _ => {}
        }
    }
    (cpus, booted)
}

/// `/proc/meminfo`, lines `MemTotal:  1024 kB`.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value, or `MemTotal` is missing.
pub fn meminfo(text: &[u8]) -> Result<MemInfo, Kind> {
    let mut info = MemInfo::default();
    for (key, rest) in flat(text) {
        let value = || {
            let mut words = words(rest);
            let value = words.next().ok_or(Kind::Malformed).and_then(digits)?;
            let unit = if words.next() == Some(b"kB") { 1024 } else { 1 };
            value.checked_mul(unit).ok_or(Kind::Malformed)
        };
        match key {
            b"MemTotal:" => info.total = value()?,
            b"MemFree:" => info.free = value()?,
            b"MemAvailable:" => info.available = Some(value()?),
            b"Buffers:" => info.buffers = value()?,
            b"Cached:" => info.cached = value()?,
            b"Shmem:" => info.shmem = value()?,
            b"Inactive(file):" => info.inactive_file = value()?,
            b"SReclaimable:" => info.slab_reclaimable = value()?,
            b"SUnreclaim:" => info.slab_unreclaimable = value()?,
            b"SwapTotal:" => info.swap_total = value()?,
            b"SwapFree:" => info.swap_free = value()?,
            _ => {}
        }
    }
    if info.total == 0 { Err(Kind::Malformed) } else { Ok(info) }
}

/// `/proc/loadavg`: `0.01 0.05 0.10 1/234 5678`.
///
/// # Errors
/// [`Kind::Malformed`] when it does not begin with three finite numbers.
pub fn loadavg(text: &[u8]) -> Result<[f64; 3], Kind> {
    let mut words = words(text);
    let mut load = [0.0; 3];
    for value in &mut load {
        let word =
            words.next().and_then(|word| std::str::from_utf8(word).ok()).ok_or(Kind::Malformed)?;
        *value = word
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite() && *value >= 0.0)
            .ok_or(Kind::Malformed)?;
    }
    Ok(load)
}

/// `/proc/vmstat`, the key `oom_kill`; absent before Linux 4.13.
///
/// # Errors
/// [`Kind::Malformed`] when its value is no number; the field is `None` then.
pub fn oom_kills(text: &[u8], kills: &mut Option<u64>) -> Outcome {
    let mut outcome = Ok(());
    if let Some((_, word)) = flat(text).find(|(key, _)| *key == b"oom_kill") {
        keep(kills, digits(word), &mut outcome);
    }
    outcome
}

/// Whether an interface is the node's own: neither `lo` nor the host's end of a pod's link.
///
/// Bridges and tunnels (`cni0`, `docker0`, `flannel.1`, `cilium_host`, `tunl0`) stay: there are few of
/// them and they tell pod traffic from the rest; do not sum them with the cards they run over.
#[must_use]
pub fn is_node_interface(name: &str) -> bool {
    // Plain CNI plugins and Docker, Calico, Cilium, Azure.
    const PODS: [&str; 4] = ["veth", "cali", "lxc", "azv"];
    // AWS and GKE name theirs after a hash; `eni1` may well be a card.
    const HASHED: [&str; 2] = ["eni", "gke"];
    let is_hash =
        |rest: &str| rest.len() == 11 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    name != "lo"
        && !PODS.iter().any(|prefix| name.starts_with(prefix))
        && !HASHED.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(is_hash))
}

#[cfg(test)]
mod tests;
