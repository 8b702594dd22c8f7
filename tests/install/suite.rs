//! What all cases share: one cluster and two images.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::cluster::image;
use crate::cluster::tool::Tool;
use crate::cluster::up::Cluster;
use crate::install::tools::Tools;

/// Podmeter, as the chart's values have it.
pub(crate) const REPOSITORY: &str = "podmeter.test/podmeter";
/// The image's tag.
pub(crate) const TAG: &str = "install";
/// Of what is measured.
const BUSYBOX: &str = "podmeter.test/busybox:install";

/// The cluster, and how to install on it.
pub(crate) struct Suite {
    cluster: Cluster,
    /// Helm and kustomize.
    pub(crate) tools: Tools,
    /// For files of the cases.
    pub(crate) scratch: TempDir,
}

impl Suite {
    /// Brings the cluster up and makes the images.
    pub(crate) fn new(tool: Tool, tools: Tools) -> Self {
        let scratch = TempDir::new().expect("a temporary folder");
        let cluster = Cluster::up(tool);
        let files = image::busybox(&scratch.path().join("image"));
        image::pack(&cluster.0, BUSYBOX, r#"["/bin/sh"]"#, &files);
        let binary = std::env::var_os("PODMETER_TEST_BIN");
        let binary = PathBuf::from(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_podmeter").into()));
        let files = image::with_libraries(&binary, "/podmeter");
        image::pack(&cluster.0, &format!("{REPOSITORY}:{TAG}"), r#"["/podmeter"]"#, &files);
        Self { cluster, tools, scratch }
    }

    /// The tool.
    pub(crate) fn tool(&self) -> &Tool {
        &self.cluster.0
    }
}
