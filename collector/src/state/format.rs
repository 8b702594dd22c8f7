//! The text of what is kept: one JSON document with a version, bounded in size. Pure.
//!
//! Keys that are not known are skipped and missing ones have their defaults, so that versions of Podmeter beside each
//! other read each other's files. The version number changes only when a key changes its meaning.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::{Kept, KeptIo, KeptPod};
use crate::cgroup::{ContainerId, PodUid};

/// Most bytes of the file. A thousand containers take some 150 KiB.
pub const MAX_BYTES: usize = 512 * 1024;
/// What is written, and the latest that is understood.
const VERSION: u32 = 1;
/// Far longer than any runtime's.
const MAX_ID: usize = 256;

/// Which node a text is of, and which of its starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The node's name.
    pub node: String,
    /// The kernel's id of this boot, if it tells one.
    pub boot: Option<String>,
}

impl Place {
    /// The node of this name, as the kernel below `proc` started it last.
    #[must_use]
    pub fn here(node: &str, proc: &std::path::Path) -> Self {
        let boot = std::fs::read_to_string(proc.join("sys/kernel/random/boot_id")).ok();
        let boot = boot.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        Self { node: node.to_owned(), boot }
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    version: u32,
    node: String,
    boot: Option<String>,
    pods: BTreeMap<PodUid, KeptPod>,
    io: BTreeMap<PodUid, KeptIo>,
}

/// Reads a text that was written on this node.
///
/// After another boot the counters of cgroups are new, and so what was kept of them is left out; totals over a
/// pod's containers go on, as the pod does.
///
/// # Errors
/// When it is damaged, too long, of a later version or of another node.
pub fn parse(text: &[u8], place: &Place) -> Result<Kept, Fault> {
    if text.len() > MAX_BYTES {
        return Err(Fault::TooLarge);
    }
    let Head { version } = serde_json::from_slice(text).map_err(|error| damaged(&error))?;
    if version > VERSION {
        return Err(Fault::NewerVersion { found: version });
    }
    let document: Document = serde_json::from_slice(text).map_err(|error| damaged(&error))?;
    if document.node != place.node {
        return Err(Fault::OtherNode { found: document.node.chars().take(MAX_ID).collect() });
    }
    let kept = Kept { pods: document.pods, io: document.io };
    let is_same_boot = document.boot.is_some() && document.boot == place.boot;
    Ok(if is_same_boot { kept } else { kept.after_a_boot() })
}

/// The text, and whether all of it found room: start times and I/O go first, then pods.
#[must_use]
pub fn render(kept: &Kept, place: &Place) -> (Vec<u8>, bool) {
    let text = text_of(kept.clone(), place);
    if text.len() <= MAX_BYTES {
        return (text, true);
    }
    let mut less = Kept { pods: kept.pods.clone(), ..Kept::default() };
    for pod in less.pods.values_mut() {
        pod.retain(|_, container| {
            container.life = None;
            !container.oom.is_new()
        });
    }
    less.pods.retain(|_, pod| !pod.is_empty());
    loop {
        let text = text_of(less.clone(), place);
        if text.len() <= MAX_BYTES {
            return (text, false);
        }
        let half = less.pods.len() / 2;
        less.pods = less.pods.into_iter().take(half).collect();
    }
}

fn text_of(kept: Kept, place: &Place) -> Vec<u8> {
    let Place { node, boot } = place.clone();
    let document = Document { version: VERSION, node, boot, pods: kept.pods, io: kept.io };
    serde_json::to_vec(&document).expect("maps with texts for keys, and numbers")
}

fn damaged(error: &serde_json::Error) -> Fault {
    Fault::Damaged { line: error.line(), column: error.column() }
}

impl Serialize for PodUid {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PodUid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a pod's uid"))
    }
}

impl Serialize for ContainerId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ContainerId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let is_short = text.len() <= MAX_ID;
        is_short.then(|| Self::new(&text)).ok_or_else(|| D::Error::custom("too long for an id"))
    }
}

/// A time as whole nanoseconds since 1970: a start must come back as exactly what was told.
pub(super) mod nanos {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        to.serialize_u64(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        Ok(UNIX_EPOCH + Duration::from_nanos(u64::deserialize(from)?))
    }
}
