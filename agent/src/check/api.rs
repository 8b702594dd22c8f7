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

/// All that is asked of the API server.
const CLUSTER_ROLE: &str = "bind the agent's service account to a ClusterRole with
rules:
  - apiGroups: [\"\"]
    resources: [pods, nodes, namespaces]
    verbs: [get, list, watch]";

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
            Err(error) => Finding::failed("pods", error.to_string(), CLUSTER_ROLE),
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
    let lost = match feed {
        Feed::Pods => "series go out under uids, without names and labels",
        Feed::Node => "capacity, allocatable and the node's allocation table are lost",
        Feed::Namespaces => "labels of namespaces are lost",
    };
    match access {
        Access::Allowed => Finding::ok(what, "allowed"),
        Access::Denied(why) | Access::Unknown(why) if feed == Feed::Pods => {
            Finding::failed(what, format!("{why}; {lost}"), CLUSTER_ROLE)
        }
        Access::Denied(why) | Access::Unknown(why) => {
            Finding::degraded(what, format!("{why}; {lost}"), CLUSTER_ROLE)
        }
    }
}
