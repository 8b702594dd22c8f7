//! Whether the API server can be asked why pods are stuck, and Events can be written on them.

use std::time::Duration;

use collector::api::rights::Need;
use collector::diagnose::access::{self, Resource};
use collector::pods::access::Access;

use super::api::OTHERWISE;
use super::{Finding, rights};
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
    finding(what, access, Need::Stuck(resource))
}

fn writing(access: Access) -> Finding {
    finding("api: create events", access, Need::PodEvents)
}

fn finding(what: &'static str, access: Access, need: Need) -> Finding {
    let (why, fix) = match access {
        Access::Allowed => return Finding::ok(what, "allowed"),
        Access::Denied(why) if !why.contains("HTTP 401") => (why, rights::grant(need)),
        Access::Denied(why) | Access::Unknown(why) => (why, OTHERWISE.to_owned()),
    };
    Finding::degraded(what, format!("{why}\n{}", rights::lost(need)), fix)
}
