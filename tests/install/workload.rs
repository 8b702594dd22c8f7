//! A pod to measure: it takes a little CPU time every second, and answers on a port.

use crate::cluster::wait;
use crate::install::release::{Release, SOON};

/// The pod, a Service and an Ingress of the release's own class.
const MANIFEST: &str = include_str!("manifests/workload.yaml");

/// The pod's name.
pub(crate) const POD: &str = "shop";
/// The Ingress' host.
pub(crate) const HOST: &str = "shop.test";

/// Makes it and waits until it is ready.
pub(crate) fn start(release: &Release<'_>) {
    release.apply(MANIFEST);
    wait::until("the workload is ready", SOON, || {
        let pod = release.tool().object(&["-n", &release.name, "pod", POD])?;
        let mut conditions = pod["status"]["conditions"].as_array()?.iter();
        conditions.find(|it| it["type"] == "Ready" && it["status"] == "True").map(drop)
    });
}
