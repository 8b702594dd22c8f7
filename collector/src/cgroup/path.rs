//! What a cgroup's path means: which pod, which container, or neither.
//!
//! Pure functions on strings; every layout that container runtimes and the kubelet are known to make is
//! a row in the tests. Finding paths is [`super::tree`]'s business.

use std::fmt;
use std::sync::Arc;

use super::Scope;

/// A pod as the kubelet names its cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PodUid {
    /// `metadata.uid`, a UUID.
    Uid(u128),
    /// A static pod: the hash of its manifest, which its mirror pod carries in the annotation
    /// `kubernetes.io/config.hash`. Its `metadata.uid` in the API is another one.
    ConfigHash(u128),
}

/// A container's id as the runtime names its cgroup: 64 hex digits, or one of the older forms.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(Arc<str>);

impl ContainerId {
    /// Takes an id as it is written in a cgroup's name or behind `containerd://` in a pod's status.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The id in full.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as `docker ps` and `crictl ps` (13) show it. The older forms are given in
    /// full: what tells the containers of one ECS task apart stands at their end.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).filter(|_| !self.0.contains('-')).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PodUid {
    /// Reads a UUID with `-` or `_`, or the 32 hex digits of a static pod's hash.
    ///
    /// Anything else is `None`: it is not a pod's directory.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut value = 0_u128;
        let mut digits = 0;
        let mut dashes = 0;
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'-' | b'_' if matches!(at, 8 | 13 | 18 | 23) => dashes += 1,
                _ => {
                    value = value.checked_mul(16)? | u128::from(char::from(byte).to_digit(16)?);
                    digits += 1;
                }
            }
        }
        match (digits, dashes) {
            (32, 4) => Some(Self::Uid(value)),
            (32, 0) => Some(Self::ConfigHash(value)),
            _ => None,
        }
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ConfigHash(hash) => write!(f, "{hash:032x}"),
            Self::Uid(uid) => {
                let hex = format!("{uid:032x}");
                write!(
                    f,
                    "{}-{}-{}-{}-{}",
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..16],
                    &hex[16..20],
                    &hex[20..]
                )
            }
        }
    }
}

/// What the cgroup at `path` is: a pod's, a container's, or (`None`) neither.
///
/// A path below a container is neither, whatever its name: what it uses is counted in the container
/// already. So a node that runs inside a container of a cluster shows up once, as that container.
#[must_use]
pub fn classify(path: &str) -> Option<Scope> {
    match find(path) {
        Some(Found { scope, is_last: true }) => Some(scope),
        _ => None,
    }
}

/// The container or pod that a process in the cgroup at `path` belongs to: the outermost container of
/// a pod, else the container that Kubernetes does not run, else the pod itself.
#[must_use]
pub fn enclosing(path: &str) -> Option<Scope> {
    find(path).map(|found| found.scope)
}

/// Every part of `path` that is a container's id, outermost first, in or out of a pod.
///
/// Seen from inside a cgroup namespace a path may begin with `/../..` instead of `/kubepods`, so its
/// ids are all there is to go by.
pub fn container_ids(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(container_id)
}

/// Names that are never a container nor have one below: systemd's mount units, the runtimes' monitors.
#[must_use]
pub fn is_ignored(name: &str) -> bool {
    const MONITORS: [&str; 2] = ["crio-conmon-", "libpod-conmon-"];
    name.rsplit('.').next() == Some("mount")
        || MONITORS.iter().any(|prefix| name.starts_with(prefix))
}

struct Found {
    scope: Scope,
    /// Whether it is the path's last element, so the path's own meaning.
    is_last: bool,
}

/// Walks down the path once. A later `kubepods` group replaces an earlier one, and a container outside
/// of any pod (a node that is a Docker container) does not hide the pods below it.
fn find(path: &str) -> Option<Found> {
    let mut in_group = false;
    let mut pod: Option<(PodUid, bool)> = None;
    let mut outside: Option<(&str, bool)> = None;
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let (slice, colon_id) = split_colon(part);
        if is_group(slice) {
            in_group = true;
            pod = slice_pod(slice).map(|uid| (uid, is_last));
        } else if in_group && let Some(uid) = slice.strip_prefix("pod").and_then(PodUid::parse) {
            pod = Some((uid, is_last));
        }
        let Some(id) = colon_id.or_else(|| container_id(part)) else { continue };
        if let Some((uid, _)) = pod {
            let scope = Scope::Container { pod: Some(uid), id: ContainerId::new(id) };
            return Some(Found { scope, is_last });
        }
        outside.get_or_insert((id, is_last));
    }
    let outside = outside
        .map(|(id, is_last)| (Scope::Container { pod: None, id: ContainerId::new(id) }, is_last));
    let pod = pod.map(|(uid, is_last)| (Scope::Pod(uid), is_last));
    pod.or(outside).map(|(scope, is_last)| Found { scope, is_last })
}

/// Whether `part` is a directory of the kubelet's group: `kubepods`, `kubepods-burstable.slice`,
/// `kubelet-kubepods.slice`.
fn is_group(part: &str) -> bool {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    name.split('-').any(|word| word == "kubepods")
}

/// The pod in the name of its slice, `kubepods-burstable-pod<uid>.slice`.
fn slice_pod(part: &str) -> Option<PodUid> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let (_, uid) = name.split_once("-pod")?;
    PodUid::parse(uid)
}

/// `slice:cri-containerd:<id>`, which containerd makes without systemd from a systemd-style path.
fn split_colon(part: &str) -> (&str, Option<&str>) {
    let Some((slice, rest)) = part.split_once(':') else { return (part, None) };
    let id = rest.rsplit(':').next().unwrap_or(rest);
    (slice, container_id(id))
}

/// The id in a container's directory name, without the runtime's prefix and systemd's suffix.
fn container_id(part: &str) -> Option<&str> {
    const RUNTIMES: [&str; 5] = ["cri-containerd-", "crio-", "docker-", "libpod-", "nerdctl-"];
    let part = part.rsplit(':').next().unwrap_or(part);
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let id = RUNTIMES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    is_id(id).then_some(id)
}

/// 64 hex digits; 32 of them, a dash and a number (ECS); or 8-4-4-4-4 hex digits (Garden).
fn is_id(id: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if id.len() == 64 {
        return is_hex(id);
    }
    if let Some((task, number)) = id.split_once('-')
        && task.len() == 32
    {
        return is_hex(task)
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    id.len() == 28 && id.split('-').map(str::len).eq([8, 4, 4, 4, 4]) && id.split('-').all(is_hex)
}

#[cfg(test)]
mod tests;
