//! Who could read Podmeter's own endpoints, and what is needed to find that out.

use std::time::{Duration, SystemTime};

use collector::api::access::Access;
use collector::api::review::{self, Review};
use collector::api::rights::Need;
use collector::proxy::route::Fault;
use collector::proxy::settings::Tls;
use collector::proxy::tls::{Files, is_note};

use super::proxy::ending;
use super::{Finding, api, rights};
use crate::app;
use crate::config::{Mode, Settings};
use crate::server::tls;

/// Longest wait for both reviews.
const WAIT: Duration = Duration::from_secs(10);

const ACCESS: &str = "access";
const TLS: &str = "tls";

pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![mode(settings.access.mode)];
    match &settings.tls {
        Some(tls) => findings.extend(files(tls, SystemTime::now())),
        None if settings.access.mode == Mode::Kubernetes => findings.push(Finding::degraded(
            TLS,
            "there is none: tokens can be read on their way here",
            "set tls.certificate and tls.key",
        )),
        None => {}
    }
    if settings.access.mode == Mode::Kubernetes {
        findings.extend(reviews(settings).await);
    }
    findings
}

fn mode(mode: Mode) -> Finding {
    let says = match mode {
        Mode::Open => "open: whoever reaches the address can read; access.mode changes that",
        Mode::Kubernetes => "by bearer token, reviewed by the API server, or by client certificate",
        Mode::Certificate => "by client certificate",
    };
    Finding::ok(ACCESS, says)
}

/// What the PEM files hold, read as at a start.
fn files(settings: &Tls, now: SystemTime) -> Vec<Finding> {
    let acceptor = match tls::acceptor(settings, 1) {
        Ok(acceptor) => acceptor,
        Err(error) => return vec![Finding::failed(TLS, format!("{error:#}"), "start it again")],
    };
    let faults = Files::new(settings).load(&*acceptor);
    let mut findings: Vec<_> = faults.iter().map(fault).collect();
    let ends: Vec<_> = acceptor.expiries().into_iter().map(|(_, until)| until).collect();
    findings.extend(ends.iter().filter_map(|until| ending(TLS, "the certificate", *until, now)));
    let lists = acceptor.revocation_expiry();
    findings.extend(lists.and_then(|until| ending(TLS, "the revocation list", until, now)));
    if findings.is_empty() {
        let until = ends.iter().min().map_or_else(String::new, |first| {
            format!(", good until {}", humantime::format_rfc3339_seconds(*first))
        });
        findings.push(Finding::ok(TLS, format!("the files can be used{until}")));
    }
    findings
}

fn fault(fault: &Fault) -> Finding {
    let says = format!("{}: {}", fault.origin.name, fault.sentence);
    if is_note(fault) {
        Finding::degraded(TLS, says, "put another one in its place; it is used as it is")
    } else {
        let lost = format!("{says}\nlost without it: Podmeter does not start");
        Finding::failed(TLS, lost, "mend it, or put another one in its place")
    }
}

/// Tries both; without either nobody's token can be good.
async fn reviews(settings: &Settings) -> Vec<Finding> {
    // What else is wrong with the way there, the other rights have told.
    let Ok(Some(client)) = app::connect(settings).await else { return Vec::new() };
    if let Ok(rights) = tokio::time::timeout(WAIT, review::rights(&client)).await {
        return rights.into_iter().map(right).collect();
    }
    let says = format!("no answer within {} s: every token gets 503", WAIT.as_secs());
    vec![Finding::failed(ACCESS, says, api::OTHERWISE)]
}

fn right((review, access): (Review, Access)) -> Finding {
    let what = match review {
        Review::Token => "api: create tokenreviews",
        Review::SubjectAccess => "api: create subjectaccessreviews",
    };
    let (why, fix) = match access {
        Access::Allowed => return Finding::ok(what, "allowed"),
        Access::Denied(why) => (why, rights::grant(Need::Review(review))),
        Access::Unknown(why) => (why, api::OTHERWISE.to_owned()),
    };
    Finding::failed(what, format!("{why}\n{}", rights::lost(Need::Review(review))), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_told_with_what_is_lost_and_the_rule() {
        let finding = right((Review::Token, Access::Denied("refused".to_owned())));
        assert!(finding.says.contains("lost without it: every reader with a token"), "{finding:?}");
        let fix = finding.fix.unwrap();
        assert!(
            fix.contains("ClusterRole podmeter-access")
                && fix.contains("resources: [tokenreviews]"),
            "{fix}"
        );
    }
}
