//! What the API server lets us do.

use std::time::Duration;

use collector::api::health::Feed;
use collector::api::rights::Need;
use collector::pods::access::{self, Access, Right};
use collector::pods::watch;
use collector::proxy::discovery;
use collector::proxy::route::{Action, Route};

use super::{Finding, rights};
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
        Access::Denied(why) if !why.contains("HTTP 401") => (why, rights::grant(Need::Feed(feed))),
        Access::Denied(why) | Access::Unknown(why) => (why, OTHERWISE.to_owned()),
    };
    let says = format!("{why}\n{}", rights::lost(Need::Feed(feed)));
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
