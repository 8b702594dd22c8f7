//! Whether we may ask why pods are stuck and write Events on them, found out by trying.

use kube::Client;
use kube::api::{GetParams, ListParams};

pub use super::ask::Resource;
use crate::api::access::Access;
use crate::api::feed::{Fault, exchange};
use crate::api::health::Failure;
use crate::api::write::{Event, try_post};

/// A name that no object has.
const NOBODY: &str = "podmeter-check";
/// A namespace that every cluster has.
const SPACE: &str = "default";

/// Tries each request that the examiner makes, at its smallest.
pub async fn questions(client: &Client) -> Vec<(Resource, Access)> {
    let mut rights = Vec::new();
    for resource in Resource::ALL {
        let request = match resource {
            Resource::Claims => resource.path(Some(SPACE)).get(NOBODY, &GetParams::default()),
            Resource::Events | Resource::Attachments => {
                resource.path(None).list(&ListParams::default().limit(1))
            }
        };
        let outcome = match request {
            Ok(request) => exchange(client, request).await.map(drop),
            Err(_) => Err(Fault::new(Failure::Other, "the request cannot be written")),
        };
        rights.push((resource, access(outcome)));
    }
    rights
}

/// Tries to write an Event on a pod that is not there; nothing is kept of it.
pub async fn events(client: &Client, node: &str) -> Access {
    let event = Event {
        regards: ("v1", "Pod"),
        namespace: SPACE,
        name: NOBODY,
        uid: "",
        tag: 0,
        reason: "Check",
        action: "Check",
        note: "a dry run of podmeter check",
        controller: "podmeter.io/agent",
        node,
    };
    access(try_post(client, &event).await)
}

fn access(outcome: Result<(), Fault>) -> Access {
    match outcome {
        Ok(()) => Access::Allowed,
        // That it is not there is told only to those who may know.
        Err(fault) if fault.status == Some(404) => Access::Allowed,
        Err(fault) => {
            let why = format!("the API server answers: {}", fault.cause);
            match fault.kind {
                Failure::Forbidden | Failure::Unauthorized => Access::Denied(why),
                _ => Access::Unknown(why),
            }
        }
    }
}
