//! Network counters of pods, each read in the pod's own network namespace.

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
