//! What the demo says when it starts.

use std::io::{self, Write};
use std::net::SocketAddr;

use super::kubelet::Started;

/// Prints the addresses, a few commands and what there is to see.
pub(super) fn print(
    address: SocketAddr,
    pods: &[Started],
    refused: Option<&str>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match write!(out, "{}", text(address, pods, refused)).and_then(|()| out.flush()) {
        // Nobody reads along; the demo is on its port all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn text(address: SocketAddr, pods: &[Started], refused: Option<&str>) -> String {
    let mut lines = vec![
        format!(
            "Podmeter's demo: {} pods of three applications on the node \"{}\"",
            pods.len(),
            super::plan::NODE
        ),
        String::new(),
        format!("  http://{address}/          what there is"),
        format!("  http://{address}/metrics   every series"),
        format!("  http://{address}/readyz    whether all is well"),
        String::new(),
    ];
    if let Some(why) = refused {
        lines.push(format!(
            "No cgroups could be made ({why}), so no processes run: the pods have names and limits, but no kernel\ncounters. Run it as root to see them."
        ));
    } else {
        lines.push("Look at:".to_owned());
        lines.extend(
            pods.iter().filter_map(|pod| Some(format!("  {:<46} {}", pod.name, pod.remark?))),
        );
        lines.extend(pods.iter().filter_map(|pod| {
            Some(format!("  {:<46} answers on http://127.0.0.1:{}", pod.name, pod.port?))
        }));
    }
    lines.extend([
        String::new(),
        "Try:".to_owned(),
        format!("  curl -s http://{address}/metrics | grep ^podmeter_memory_limit_ratio"),
        format!("  curl -s http://{address}/metrics | grep ^container_cpu_cfs_throttled_seconds_total"),
        format!("  curl -s http://{address}/metrics | grep 'label_role=\"api\"' | grep ^container_memory_working_set_bytes"),
        format!("  podmeter top --url http://{address}"),
        String::new(),
        "Ctrl-C to stop.\n".to_owned(),
    ]);
    lines.join("\n")
}
