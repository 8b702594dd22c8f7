//! What the API server lets us do.

use std::time::Duration;

use collector::pods::access::{self, Access, Right};
use collector::pods::health::Feed;
use collector::pods::watch;

use super::Finding;
use crate::app;
use crate::config::{Settings, Source};

/// Longest wait for all requests together.
const WAIT: Duration = Duration::from_secs(30);

/// What to do where a request fails for another reason than its right; which one, the finding says.
const OTHERWISE: &str = "see the reason above; no right is known to be missing";

pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
    if settings.source == Source::Standalone {
        let lost = "not used (standalone): no requests, owners or labels, only names from this machine's own files";
        return vec![Finding::degraded(
            "api",
            lost,
            "leave out --standalone where there is an API server",
        )];
    }
    match tokio::time::timeout(WAIT, rights(settings)).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![Finding::failed(
            "api",
            format!("{error:#}"),
            "check the kubeconfig, or the pod's service account",
        )],
        Err(_) => vec![Finding::failed(
            "api",
            format!("no answer within {} s", WAIT.as_secs()),
            "check the address of the API server and the network policies",
        )],
    }
}

async fn rights(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let watching = app::watching(settings)?;
    let Some(client) = app::connect(settings).await? else { return Ok(Vec::new()) };
    let rights = access::check(&client, &watching).await?;
    let can_list = rights.iter().any(|right| {
        right.verb == "list" && right.feed == Feed::Pods && right.access == Access::Allowed
    });
    let mut findings: Vec<_> = rights.into_iter().map(finding).collect();
    if can_list {
        findings.push(match watch::list(&client, &watching, WAIT).await {
            Ok(index) if index.pods().len() == 0 => Finding::degraded(
                "pods",
                format!("the API server knows no pod on a node {:?}", settings.node),
                "check --node (NODE_NAME) against kubectl get nodes",
            ),
            Ok(index) => Finding::ok(
                "pods",
                format!(
                    "{} on this node, {} containers in their specs",
                    index.pods().len(),
                    index.pods().map(|pod| pod.containers.len()).sum::<usize>()
                ),
            ),
            Err(error) => Finding::failed("pods", error.to_string(), OTHERWISE),
        });
    }
    Ok(findings)
}

/// Without the pods there are no names; without the rest a few series are missing.
fn finding(Right { verb, feed, access }: Right) -> Finding {
    let what = match (verb, feed) {
        ("list", Feed::Pods) => "api: list pods",
        ("list", Feed::Node) => "api: list nodes",
        ("list", Feed::Namespaces) => "api: list namespaces",
        (_, Feed::Pods) => "api: watch pods",
        (_, Feed::Node) => "api: watch nodes",
        (_, Feed::Namespaces) => "api: watch namespaces",
    };
    let (resource, lost) = lost(feed);
    let (why, fix) = match access {
        Access::Allowed => return Finding::ok(what, "allowed"),
        // Refused credentials are denied too, but no rule helps there.
        Access::Denied(why) if !why.contains("HTTP 401") => (why, cluster_role(resource)),
        Access::Denied(why) | Access::Unknown(why) => (why, OTHERWISE.to_owned()),
    };
    let says = format!("{why}\nlost without it: {lost}");
    match feed {
        Feed::Pods => Finding::failed(what, says, fix),
        Feed::Node | Feed::Namespaces => Finding::degraded(what, says, fix),
    }
}

/// What a feed asks for, and what is lost without it, in the words of `deploy/README.md`.
fn lost(feed: Feed) -> (&'static str, &'static str) {
    match feed {
        Feed::Pods => {
            ("pods", "everything that has a pod's name or labels: series go out under uids")
        }
        Feed::Node => {
            ("nodes", "capacity, allocatable, conditions and the allocation ratios of the node")
        }
        Feed::Namespaces => ("namespaces", "the namespaces' labels on series"),
    }
}

/// The rule that gives the right, as `deploy/rbac.yaml` has it.
fn cluster_role(resource: &str) -> String {
    format!(
        "bind the agent's service account (or the kubeconfig's user) to a ClusterRole with
rules:
  - apiGroups: [\"\"]
    resources: [{resource}]
    verbs: [list, watch]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_in_the_words_of_the_deployment_page() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/README.md"))
                .unwrap();
        for feed in Feed::ALL {
            let (resource, lost) = lost(feed);
            let row =
                page.lines().find(|line| line.starts_with(&format!("| {resource}: list, watch |")));
            assert!(row.is_some_and(|row| row.contains(lost)), "{resource}: {lost}");
        }
    }
}
