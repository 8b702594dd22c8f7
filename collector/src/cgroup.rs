//! Control groups: where they are mounted, which of them are containers, and what they count.
//!
//! [`mounts`] finds the hierarchies, [`path`] says what a cgroup's path means, [`tree`] notices new and
//! gone containers, [`file`](mod@file) keeps the kernel's files open, [`v1`] and [`v2`] give their contents one meaning:
//! [`Counters`]. [`Reader`] ties them together and is the only thing the sampler calls.

mod counters;
pub mod file;
pub mod mounts;
pub mod parse;
pub mod path;
mod reader;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;
pub mod v1;
pub mod v2;

pub use counters::{
    Counters, Cpu, CpuQuota, DeviceIo, Limit, Memory, Pids, Pressure, Stall, Stalls,
};
pub use path::{ContainerId, PodUid};
pub use reader::{Cgroup, CgroupKey, Config, Reader, Scope};
