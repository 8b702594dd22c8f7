//! What the API server lets us do with pods, nodes and namespaces.

use kube::Client;

use super::watch::{self, Settings};
use crate::api::access::tried;
pub use crate::api::access::{Access, Right};

/// Tries each right that a watch with these settings needs.
///
/// # Errors
/// When the node's name cannot stand in a selector.
pub async fn check(client: &Client, settings: &Settings) -> Result<Vec<Right>, watch::Error> {
    Ok(tried(client, &watch::targets(settings)?).await)
}
