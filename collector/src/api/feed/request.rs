//! The two requests of a feed: a list, and a watch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::api::{ListParams, VersionMatch, WatchParams};
use kube::client::Body;

use super::Fault;
use super::wire::{self, Lines, Listed};
use crate::api::health::{self, Failure};
use crate::api::object::Object;
use crate::api::rights;

/// Longest wait for the head of an answer.
const HEAD: Duration = Duration::from_secs(30);
/// Longest time a list may take to arrive.
const LIST: Duration = Duration::from_secs(120);
/// Most bytes of a list: some 500 of the largest pods that occur.
const MAX_LIST: usize = 64 << 20;
/// Most bytes of any other answer.
const MAX_ANSWER: usize = 1 << 20;
/// Seconds after which we ask the server to end a watch, from and to; spread so that the agents of a
/// cluster do not all come back at once.
const WATCH: std::ops::Range<u32> = 240..300;
/// A server that has not ended a watch this long after the time is taken for dead.
const MARGIN: Duration = Duration::from_secs(10);

/// What a feed asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) feed: health::Feed,
    /// Objects of this namespace only; none for those of the whole cluster.
    pub(crate) namespace: Option<Arc<str>>,
    /// Such as `spec.nodeName=node1`; none for all objects.
    pub(crate) fields: Option<String>,
    /// Such as `app=web`; none for all objects.
    pub(crate) labels: Option<String>,
    /// Ask for the objects' metadata only.
    pub(crate) metadata_only: bool,
}

/// Whether this can be an object's or namespace's name (a DNS subdomain); anything else could widen a selector or
/// lead to another path.
pub(crate) fn is_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(is_legal) && !text.starts_with('.')
}

impl Target {
    fn request(&self) -> kube::core::Request {
        let mut path = match self.feed.group() {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        if let Some(namespace) = &self.namespace {
            path = format!("{path}/namespaces/{namespace}");
        }
        kube::core::Request::new(format!("{path}/{}", self.feed.resource()))
    }

    /// What is asked for, in words.
    pub(super) fn name(&self) -> String {
        let resource = self.feed.resource();
        match &self.namespace {
            Some(namespace) => format!("{resource} in namespace {namespace}"),
            None => resource.to_owned(),
        }
    }

    fn list_request(
        &self,
        version: &str,
        limit: Option<u32>,
    ) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
        let params = ListParams {
            field_selector: self.fields.clone(),
            label_selector: self.labels.clone(),
            // With a limit the server ignores a version of 0 and reads from its store. So: no pages.
            limit,
            resource_version: Some(version.to_owned()),
            version_match: Some(VersionMatch::NotOlderThan),
            ..ListParams::default()
        };
        if self.metadata_only {
            self.request().list_metadata(&params)
        } else {
            self.request().list(&params)
        }
    }

    fn watch_request(
        &self,
        version: &str,
        seconds: u32,
    ) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
        let params = WatchParams {
            field_selector: self.fields.clone(),
            label_selector: self.labels.clone(),
            timeout: Some(seconds),
            bookmarks: true,
            ..WatchParams::default()
        };
        if self.metadata_only {
            self.request().watch_metadata(&params, version)
        } else {
            self.request().watch(&params, version)
        }
    }
}

/// All objects, not older than `version`.
pub(crate) async fn list<K: Object>(
    client: &Client,
    target: &Target,
    version: &str,
) -> Result<Listed<K>, Fault> {
    let request = target.list_request(version, None).map_err(unmade)?;
    let fetch = async {
        let body = Limited::new(send(client, request).await?, MAX_LIST);
        let body = body.collect().await.map_err(|error| {
            Fault::new(Failure::Unreachable, format!("the list broke off: {error}"))
        })?;
        wire::read_list(&body.to_bytes())
    };
    tokio::time::timeout(LIST, fetch).await.map_err(|_| Fault::late(LIST))?
}

/// The changes since `version`, and how long the server was asked to tell them.
pub(crate) async fn watch(
    client: &Client,
    target: &Target,
    version: &str,
) -> Result<(Lines, Duration), Fault> {
    let seconds = fastrand::u32(WATCH);
    let body = send(client, target.watch_request(version, seconds).map_err(unmade)?).await?;
    let asked = Duration::from_secs(seconds.into());
    Ok((Lines::new(body, asked + MARGIN), asked))
}

/// Whether a list would be answered, with as little work for the server as it can have.
pub(crate) async fn try_list(client: &Client, target: &Target) -> Result<(), Fault> {
    send(client, target.list_request("0", Some(1)).map_err(unmade)?).await.map(drop)
}

/// Whether a watch would be answered.
pub(crate) async fn try_watch(client: &Client, target: &Target) -> Result<(), Fault> {
    send(client, target.watch_request("0", 1).map_err(unmade)?).await.map(drop)
}

/// Sends anything else and gives the body of the answer, of at most 1 MiB.
pub(crate) async fn exchange(client: &Client, request: Request<Vec<u8>>) -> Result<Bytes, Fault> {
    let fetch = async {
        let body = Limited::new(send(client, request).await?, MAX_ANSWER).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| {
            Fault::new(Failure::Unreachable, format!("the answer broke off: {error}"))
        })
    };
    tokio::time::timeout(HEAD, fetch).await.map_err(|_| Fault::late(HEAD))?
}

/// Nothing else sends anything to the API server, so no request can need a right that no role grants.
async fn send(client: &Client, request: Request<Vec<u8>>) -> Result<Body, Fault> {
    debug_assert!(rights::covers(request.method(), request.uri()), "no right: {}", request.uri());
    #[expect(clippy::disallowed_methods, reason = "the one place that does")]
    let answer = tokio::time::timeout(HEAD, client.send(request.map(Body::from))).await;
    let answer = answer.map_err(|_| Fault::late(HEAD))?.map_err(|error| Fault::unsent(&error))?;
    if answer.status().is_success() {
        Ok(answer.into_body())
    } else {
        Err(Fault::refused(answer.status(), answer.headers()))
    }
}

fn unmade(_: kube::core::request::Error) -> Fault {
    Fault::new(Failure::Other, "the request cannot be written")
}
