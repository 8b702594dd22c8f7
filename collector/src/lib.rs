//! What Podmeter exists for: read the kernel's counters, join them with the pods, give one snapshot.
//!
//! Data flows one way: [`cgroup`], [`host`], [`network`] and [`pods`] read; [`join`](mod@join) puts names on numbers;
//! a [`snapshot::Snapshot`] is all that an exporter ever sees. This library knows no command line,
//! no exposition format and no exit code; the `agent` crate does.

pub mod api;
pub mod cgroup;
pub mod diagnose;
pub mod faults;
pub mod histogram;
pub mod host;
pub mod join;
pub mod labels;
pub mod network;
pub mod pods;
pub mod proxy;
pub mod sampler;
pub mod schema;
pub mod snapshot;
pub mod trend;
