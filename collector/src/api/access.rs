//! What the API server lets us do, found out by doing it.
//!
//! A `SelfSubjectAccessReview` would need a right of its own and would say nothing of the way there, so each
//! right is tried with the real request at its smallest.

use kube::Client;

use super::feed::{Fault, Target};
use super::health::{Failure, Feed};

/// One right and whether we have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// `list` or `watch`.
    pub verb: &'static str,
    /// On what.
    pub feed: Feed,
    /// The outcome.
    pub access: Access,
}

/// Whether a request is let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is.
    Allowed,
    /// The server refuses it; the sentence names the fix.
    Denied(String),
    /// It could not be found out; the sentence says why.
    Unknown(String),
}

/// Tries to list and to watch each of these.
pub(crate) async fn tried(client: &Client, targets: &[Target]) -> Vec<Right> {
    let mut rights = Vec::new();
    for target in targets {
        let listed = super::feed::try_list(client, target).await;
        rights.push(Right { verb: "list", feed: target.feed, access: access(listed, target) });
        let watched = super::feed::try_watch(client, target).await;
        rights.push(Right { verb: "watch", feed: target.feed, access: access(watched, target) });
    }
    rights
}

fn access(outcome: Result<(), Fault>, target: &Target) -> Access {
    match outcome {
        // Too old a version or too many requests: the right itself was not refused.
        Ok(()) => Access::Allowed,
        Err(fault) => match fault.kind {
            Failure::Gone => Access::Allowed,
            Failure::Forbidden | Failure::Unauthorized => Access::Denied(fault.sentence(target)),
            _ => Access::Unknown(fault.sentence(target)),
        },
    }
}
