//! The node agent: when, where to and with which settings the collector's snapshots go.

pub mod apiserver;
