//! Asks the API server whose token it is, and whether its owner has one of the two rights that open the door.

use std::sync::Arc;

use collector::api::review::{self, Trouble, Wanted};
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;

use super::cache::Verdict;
use super::reviews::Judge;
use super::token::Token;

/// The right within a namespace; no such resource needs to be there for RBAC to know it.
const GROUP: &str = "podmeter.io";
const RESOURCE: &str = "metrics";
/// Characters of a user's name that are kept.
const NAME: usize = 253;

/// The API server as the judge.
pub(super) struct Kubernetes {
    pub(super) client: Client,
    /// Podmeter's own.
    pub(super) namespace: Arc<str>,
}

impl Judge for Kubernetes {
    fn judge(
        &self,
        token: Token,
        path: &'static str,
    ) -> BoxFuture<'static, Result<Verdict, Trouble>> {
        let (client, namespace) = (self.client.clone(), self.namespace.clone());
        async move {
            let Some(user) = review::token(&client, token.secret()).await? else {
                return Ok(Verdict::Unknown);
            };
            let resource =
                Wanted::Resource { group: GROUP, resource: RESOURCE, namespace: &namespace };
            for wanted in [Wanted::Path(path), resource] {
                if review::allows(&client, &user, wanted).await? {
                    return Ok(Verdict::Allowed);
                }
            }
            let name: String = user.username.chars().take(NAME).collect();
            Ok(Verdict::Forbidden(name.into()))
        }
        .boxed()
    }
}
