//! Whether the API server can be asked why pods are stuck, and Events can be written on them.

use std::time::Duration;

use collector::diagnose::access::{self, Resource};
use collector::pods::access::Access;

use super::Finding;
use super::api::OTHERWISE;
use crate::app;
use crate::config::Settings;

/// Longest wait for all requests together.
const WAIT: Duration = Duration::from_secs(30);

/// Nothing where the way to the API server is missing altogether: that is told with the other rights.
pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
    let Ok(Some(client)) = app::connect(settings).await else { return Vec::new() };
    let tried = async {
        let mut findings = Vec::new();
        if settings.diagnose {
            let rights = access::questions(&client).await;
            findings
                .extend(rights.into_iter().map(|(resource, access)| question(resource, access)));
        }
        if !settings.events.is_empty() {
            findings.push(writing(access::events(&client, &settings.node).await));
        }
        findings
    };
    tokio::time::timeout(WAIT, tried).await.unwrap_or_default()
}

fn question(resource: Resource, access: Access) -> Finding {
    let what = match resource {
        Resource::Events => "api: list events",
        Resource::Claims => "api: get persistentvolumeclaims",
        Resource::Attachments => "api: list volumeattachments",
    };
    let rule = rule(resource.group(), resource.as_str(), resource.verb());
    finding(what, access, lost(resource), &rule)
}

fn writing(access: Access) -> Finding {
    finding("api: create events", access, LOST_EVENTS, &rule("events.k8s.io", "events", "create"))
}

fn finding(what: &'static str, access: Access, lost: &str, rule: &str) -> Finding {
    let (why, fix) = match access {
        Access::Allowed => return Finding::ok(what, "allowed"),
        Access::Denied(why) if !why.contains("HTTP 401") => (why, rule),
        Access::Denied(why) | Access::Unknown(why) => (why, OTHERWISE),
    };
    Finding::degraded(what, format!("{why}\nlost without it: {lost}"), fix)
}

/// What is lost without it, in the words of `deploy/README.md`.
fn lost(resource: Resource) -> &'static str {
    match resource {
        Resource::Events => {
            "why a pod is stuck where its status does not say it: volumes, network, sandbox; the reason stays unknown"
        }
        Resource::Claims => "which volume a stuck pod's claim stands for, and so which node has it",
        Resource::Attachments => "which other node has the volume that a stuck pod waits for",
    }
}

const LOST_EVENTS: &str =
    "the Events that kubernetes.events asks for; log and series say it all the same";

/// The rule that gives the right, as `deploy/manifests/rbac-diagnose.yaml` and `deploy/manifests/rbac-events.yaml` have it.
fn rule(group: &str, resource: &str, verb: &str) -> String {
    format!(
        "bind the agent's service account (or the kubeconfig's user) to a ClusterRole with
rules:
  - apiGroups: [\"{group}\"]
    resources: [{resource}]
    verbs: [{verb}]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> String {
        let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
        std::fs::read_to_string(format!("{deploy}/{name}")).unwrap()
    }

    #[test]
    fn what_is_lost_is_told_in_the_words_of_the_deployment_page() {
        let page = read("README.md");
        for resource in Resource::ALL {
            let row =
                format!("| {}: {} | {} |", resource.as_str(), resource.verb(), lost(resource));
            assert!(page.contains(&row), "{row}");
        }
        assert!(page.contains(LOST_EVENTS));
    }

    #[test]
    fn manifests_grant_what_is_tried_and_nothing_else() {
        let rules = |name| -> Vec<[String; 3]> {
            let text = read(name);
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let rule = |rule: &[&str]| {
                rule[0]
                    .starts_with("- apiGroups:")
                    .then(|| [rule[0], rule[1], rule[2]].map(str::to_owned))
            };
            lines.windows(3).filter_map(rule).collect()
        };
        let expected = |group: &str, resource: &str, verb: &str| {
            let text = rule(group, resource, verb);
            let lines: Vec<String> =
                text.lines().skip(2).map(|line| line.trim().to_owned()).collect();
            <[String; 3]>::try_from(lines).unwrap()
        };
        let questions = Resource::ALL.map(|it| expected(it.group(), it.as_str(), it.verb()));
        assert_eq!(rules("manifests/rbac-diagnose.yaml"), questions);
        assert_eq!(
            rules("manifests/rbac-events.yaml"),
            [expected("events.k8s.io", "events", "create")]
        );
    }
}
