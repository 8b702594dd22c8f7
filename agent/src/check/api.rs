//! What the API server lets us do.

use std::time::Duration;

use collector::api::health::Feed;
use collector::pods::access::{self, Access, Right};
use collector::pods::watch;
use collector::proxy::discovery;
use collector::proxy::route::{Action, Route};

use super::Finding;
use crate::app;
use crate::config::{Proxy, Settings, Source};
use crate::proxy::run;

/// Longest wait for all requests together.
const WAIT: Duration = Duration::from_secs(30);

/// What to do where a request fails for another reason than its right; which one, the finding says.
pub(super) const OTHERWISE: &str = "see the reason above; no right is known to be missing";

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
    let mut rights = access::check(&client, &watching).await?;
    if let Some(proxy) = settings.proxy.as_ref().filter(|proxy| learns(proxy)) {
        let learning = run::learning(settings, proxy, watching.rules.clone());
        rights.extend(discovery::access(&client, &learning).await);
    }
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

/// Whether the API server has anything for this proxy; one of addresses in the file alone asks it nothing.
pub(super) fn learns(proxy: &Proxy) -> bool {
    let is_of_cluster = |route: &Route| match &route.action {
        Action::Forward(services) => services.iter().any(|(key, _)| !key.namespace.is_empty()),
        Action::Redirect(_) | Action::Refuse => false,
    };
    proxy.ingress_class.is_some()
        || proxy.routes.iter().any(is_of_cluster)
        || run::authorities(&proxy.settings.tls).is_some()
}

/// Without the pods there are no names; without the rest a part is missing.
fn finding(Right { verb, feed, access }: Right) -> Finding {
    let what = what(verb, feed);
    let (why, fix) = match access {
        Access::Allowed => return Finding::ok(what, "allowed"),
        // Refused credentials are denied too, but no rule helps there.
        Access::Denied(why) if !why.contains("HTTP 401") => (why, cluster_role(feed)),
        Access::Denied(why) | Access::Unknown(why) => (why, OTHERWISE.to_owned()),
    };
    let says = format!("{why}\nlost without it: {}", lost(feed));
    match feed {
        Feed::Pods => Finding::failed(what, says, fix),
        _ => Finding::degraded(what, says, fix),
    }
}

/// What a finding is about.
fn what(verb: &str, feed: Feed) -> &'static str {
    let (list, watch) = match feed {
        Feed::Pods => ("api: list pods", "api: watch pods"),
        Feed::Node => ("api: list nodes", "api: watch nodes"),
        Feed::Namespaces => ("api: list namespaces", "api: watch namespaces"),
        Feed::Ingresses => ("api: list ingresses", "api: watch ingresses"),
        Feed::IngressClasses => ("api: list ingressclasses", "api: watch ingressclasses"),
        Feed::Services => ("api: list services", "api: watch services"),
        Feed::EndpointSlices => ("api: list endpointslices", "api: watch endpointslices"),
        Feed::Endpoints => ("api: list endpoints", "api: watch endpoints"),
        Feed::ServicePods => ("api: list service pods", "api: watch service pods"),
        Feed::Secrets => ("api: list secrets", "api: watch secrets"),
    };
    if verb == "list" { list } else { watch }
}

/// What is lost without a feed, in the words of `deploy/README.md`.
fn lost(feed: Feed) -> &'static str {
    match feed {
        Feed::Pods => "everything that has a pod's name or labels: series go out under uids",
        Feed::Node => "capacity, allocatable, conditions and the allocation ratios of the node",
        Feed::Namespaces => "the namespaces' labels on series",
        Feed::Ingresses => "every route of an Ingress",
        Feed::IngressClasses => {
            "Ingresses that name no class, and the word of a class that is another controller's"
        }
        Feed::Services => "every route to a Service: its ports are not known",
        Feed::EndpointSlices => "every route to a Service: its pods are not known",
        Feed::Endpoints => {
            "the same where the API server has no EndpointSlices in v1 (before Kubernetes 1.21)"
        }
        Feed::ServicePods => {
            "the pods' own labels on the series of requests, and sessions of pods about to end"
        }
        Feed::Secrets => "certificates of Ingresses and authorities of clients' certificates",
    }
}

/// The rule that gives the right, as `deploy/manifests/rbac.yaml` and `rbac-proxy.yaml` have it.
fn cluster_role(feed: Feed) -> String {
    format!(
        "bind the agent's service account (or the kubeconfig's user) to a ClusterRole with
rules:
  - apiGroups: [\"{}\"]
    resources: [{}]
    verbs: [list, watch]",
        feed.group(),
        feed.resource()
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
            let resource = feed.resource();
            let row = page
                .lines()
                .filter(|line| line.starts_with(&format!("| {resource}: list, watch |")))
                .any(|row| row.contains(lost(feed)));
            assert!(row, "{resource}: {}", lost(feed));
        }
    }

    #[test]
    fn manifests_grant_each_right_that_is_tried() {
        let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/manifests");
        let read = |name| std::fs::read_to_string(format!("{deploy}/{name}")).unwrap();
        let text = format!("{}\n{}", read("rbac.yaml"), read("rbac-proxy.yaml"));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let grants = |feed: Feed| {
            lines.windows(3).any(|rule| {
                let resources = rule[1].strip_prefix("resources: [").unwrap_or_default();
                rule[0] == format!("- apiGroups: [\"{}\"]", feed.group())
                    && resources.trim_end_matches(']').split(", ").any(|it| it == feed.resource())
                    && rule[2] == "verbs: [list, watch]"
            })
        };
        // Namespaces are the one right that depends on a setting, as the page says.
        for feed in Feed::ALL.into_iter().filter(|feed| *feed != Feed::Namespaces) {
            assert!(grants(feed), "{}", feed.resource());
        }
    }
}
