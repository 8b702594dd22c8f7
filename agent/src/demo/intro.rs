//! What the demo says when it starts.

use std::io::{self, Write};
use std::net::SocketAddr;

use super::kubelet::Started;
use super::plan::{FRONTS, Front};

/// What there is to say.
pub(super) struct Intro<'a> {
    /// Where the agent listens.
    pub(super) address: SocketAddr,
    /// Where its proxy listens.
    pub(super) proxy: SocketAddr,
    pub(super) pods: &'a [Started],
    /// Why there are no cgroups, where there are none.
    pub(super) refused: Option<&'a str>,
}

impl Intro<'_> {
    /// Prints the addresses, a few commands and what there is to see.
    pub(super) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match write!(out, "{}", self.text()).and_then(|()| out.flush()) {
            // Nobody reads along; the demo is on its port all the same.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    fn text(&self) -> String {
        let Self { address, proxy, pods, refused } = self;
        let hosts = FRONTS.each_ref().map(Front::host).join(", ");
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
            format!("  http://{proxy}/          the proxy, with traffic for {hosts}"),
            String::new(),
        ];
        if let Some(why) = refused {
            lines.push(format!(
                "No cgroups could be made ({why}), so only the HTTP apps run: the pods have names, limits and response\ntimes, but no kernel counters. Run it as root to see them.\n"
            ));
        }
        lines.push("Look at:".to_owned());
        let remarks = pods.iter().filter(|pod| refused.is_none() || pod.address.is_some());
        lines.extend(remarks.filter_map(|pod| Some(format!("  {:<46} {}", pod.name, pod.remark?))));
        lines.extend(pods.iter().filter_map(|pod| {
            Some(format!("  {:<46} answers on http://{}", pod.name, pod.address?))
        }));
        lines.extend([String::new(), "Try:".to_owned()]);
        lines.push(format!("  curl -s -H 'Host: {}' http://{proxy}/cart", FRONTS[0].host()));
        let times = "grep ^http_client_request_duration_seconds_sum";
        let counters = [
            "grep ^podmeter_memory_limit_ratio",
            "grep ^container_cpu_cfs_throttled_seconds_total",
            "grep 'label_role=\"api\"' | grep ^container_memory_working_set_bytes",
        ];
        let counters = counters.into_iter().filter(|_| refused.is_none());
        let greps = [times].into_iter().chain(counters);
        lines.extend(greps.map(|grep| format!("  curl -s http://{address}/metrics | {grep}")));
        lines.extend([
            format!("  podmeter top --url http://{address}"),
            String::new(),
            "In Prometheus, the average response time of all pods with role=api in version=canary, by application:"
                .to_owned(),
            query(),
            String::new(),
            "Ctrl-C to stop.\n".to_owned(),
        ]);
        lines.join("\n")
    }
}

/// The question that Podmeter exists for. The same stands in `docs/proxy.md`.
fn query() -> String {
    let rates = ["sum", "count"].map(|part| {
        format!(
            "sum by (label_application) (rate(http_client_request_duration_seconds_{part}{{label_role=\"api\",label_version=\"canary\"}}[1m]))"
        )
    });
    format!("  {}", rates.join("\n  / "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_stands_on_the_proxys_page_too() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proxy.md");
        let page = std::fs::read_to_string(page).unwrap();
        let query = query().trim().replace("\n  ", " ");
        assert!(page.contains(&query), "{query}");
    }

    #[test]
    fn without_cgroups_nothing_is_pointed_at_that_is_not_there() {
        let address = ([127, 0, 0, 1], 9464).into();
        let proxy: SocketAddr = ([127, 0, 0, 1], 40123).into();
        let pods = [
            Started { name: "burner".to_owned(), remark: Some("is throttled"), address: None },
            Started { name: "app".to_owned(), remark: Some("is slow"), address: Some(proxy) },
        ];
        let text = |refused| Intro { address, proxy, pods: &pods, refused }.text();
        let (whole, part) = (text(None), text(Some("Permission denied")));
        assert!(whole.contains("is throttled") && whole.contains("cfs_throttled"), "{whole}");
        assert!(!part.contains("is throttled") && !part.contains("cfs_throttled"), "{part}");
        assert!(part.contains("is slow") && part.contains("http://127.0.0.1:40123/"), "{part}");
    }
}
