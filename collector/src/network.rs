//! Network counters of pods, each read in the pod's own network namespace.
//!
//! [`dev`] reads the text of `net/dev`, [`pids`] finds a process of each pod where the kernel does not
//! tell, [`Reader`] keeps the files open. [`crate::host`] reads the node's own interfaces the same way.

pub mod dev;
mod hosts;
pub mod pids;
mod reader;

pub use reader::Reader;

/// Counters of one network interface since it was made. Source: `/proc/<pid>/net/dev`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Name, such as `eth0`.
    pub name: std::sync::Arc<str>,
    /// Bytes received.
    pub receive_bytes: u64,
    /// Packets received.
    pub receive_packets: u64,
    /// Receive errors.
    pub receive_errors: u64,
    /// Packets dropped on receipt.
    pub receive_dropped: u64,
    /// Bytes sent.
    pub transmit_bytes: u64,
    /// Packets sent.
    pub transmit_packets: u64,
    /// Send errors.
    pub transmit_errors: u64,
    /// Packets dropped on sending.
    pub transmit_dropped: u64,
}
