//! Puts names on numbers: one tick of counters and the pods known now give one snapshot.

use std::sync::Arc;

use globset::GlobSet;

/// How series are named and which are left out.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The node's name, on every series.
    pub node: Arc<str>,
    /// Families left out, by globs on their names.
    pub exclude: GlobSet,
    /// Whether containers that Kubernetes does not run have series too (`--standalone`).
    pub foreign: bool,
}
