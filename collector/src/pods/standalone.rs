//! Pods from what the machine itself knows.

/// Names from the kubelet's and runtimes' own files.
#[derive(Debug)]
pub struct Standalone {}
