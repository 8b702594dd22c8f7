//! What a cgroup's path means: which pod, which container, or neither.
//!
//! Pure functions on strings; every layout that container runtimes and the kubelet are known to make is
//! a row in the tests. Finding paths is [`super::tree`]'s business.

use std::fmt;
use std::sync::Arc;

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

    /// The first 12 digits, as `docker ps` and `crictl ps` (13) show it.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
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
                write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
        }
    }
}
