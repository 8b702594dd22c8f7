//! Programs that people run today, for scale: the same machine, the same minute, the same scrapes.
//!
//! `benches/peers` puts them into `target/peers`; one that is not there is left out and said to be.

use std::path::{Path, PathBuf};

/// One of them.
pub(crate) struct Peer {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where it does its work and what it leaves out, compared with Podmeter.
    pub(crate) scope: &'static str,
    binary: &'static str,
    arguments: fn(u16, &str) -> Vec<String>,
}

/// Those that a scale can be made of.
pub(crate) const PEERS: [Peer; 2] = [
    Peer {
        name: "cAdvisor",
        scope: "the same cgroups' CPU, memory and block I/O; knows no pods, no requests, no labels, no per-pod network here",
        binary: "cadvisor/cadvisor",
        arguments: |port, subtree| {
            vec![
                "-listen_ip=127.0.0.1".to_owned(),
                format!("-port={port}"),
                "-housekeeping_interval=10s".to_owned(),
                "-allow_dynamic_housekeeping=false".to_owned(),
                "-store_container_labels=false".to_owned(),
                "-enable_metrics=cpu,memory,diskIO,network".to_owned(),
                format!("-raw_cgroup_prefix_whitelist={subtree}"),
            ]
        },
    },
    Peer {
        name: "node_exporter",
        scope: "the node only, nothing of any container; works only when it is scraped",
        binary: "node-exporter/usr/bin/prometheus-node-exporter",
        arguments: |port, _| vec![format!("--web.listen-address=127.0.0.1:{port}")],
    },
];

impl Peer {
    /// Where it is, if it is there.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
        root.join(self.binary).canonicalize().ok()
    }

    /// How to start it.
    pub(crate) fn arguments(&self, port: u16, subtree: &str) -> Vec<String> {
        (self.arguments)(port, subtree)
    }
}
