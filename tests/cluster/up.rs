//! The cluster, for as long as a run needs it.

use std::sync::Arc;

use crate::cluster::tool::Tool;

/// A cluster, taken down again if it was not up before.
pub(crate) struct Cluster(pub(crate) Arc<Tool>, bool);

impl Cluster {
    /// Brings it up where it is down.
    pub(crate) fn up(tool: Tool) -> Self {
        let was_up = tool.is_up();
        let cluster = Self(Arc::new(tool), !was_up);
        if !was_up {
            cluster.0.run(&["up"]);
        }
        cluster
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.1 {
            self.0.run(&["down"]);
        }
    }
}
