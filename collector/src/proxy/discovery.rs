//! What the proxy learns from the API server: Ingresses, their certificates, and the pods of Services.
//!
//! Each thing is followed by the list-and-watch loop of [`crate::api`]; what comes is read by pure functions
//! (`ingress`, `secret`, `place`, `pod`), put together by `core`, and told to the proxy at once when it
//! changed. Objects are asked for by name where only some are of use: a Secret that no Ingress of ours names
//! never gets here. All of it runs in one task, so that what is not followed any more cannot speak again.

mod backends;
mod core;
mod fault;
mod ingress;
mod name;
mod object;
mod observe;
mod place;
mod pod;
mod routes;
mod secret;
mod status;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use http::Request;
use kube::Client;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::core::{Core, Links, Notice};
use name::{Name, Subject};

use super::control::Told;
use crate::api::access::{Right, tried};
pub use crate::api::feed::Pace;
use crate::api::feed::{Backoff, Feed, Target, exchange};
use crate::api::health::{self, Failure, Health};
use crate::api::outbox::Outbox;
use crate::pods::labels::Rules;
pub use observe::Observer;
pub use status::Status;

/// How long the class may take to come before its Ingresses are looked at without it.
const CLASS_WAIT: Duration = Duration::from_secs(5);
/// Where the API server tells whether it has EndpointSlices in v1; Kubernetes 1.20 does not.
const SLICES: &str = "/apis/discovery.k8s.io/v1";

/// What to look for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's name, for Events.
    pub node: Arc<str>,
    /// Ingresses of this class are ours; none are without one, and Services are all that is followed.
    pub ingress_class: Option<Arc<str>>,
    /// Addresses and names to write into the status of our Ingresses; none to leave it alone.
    pub publish: Vec<Arc<str>>,
    /// Which labels of pods go on series.
    pub rules: Rules,
    /// Namespace and name of a Secret with the authorities of clients' certificates.
    pub authorities: Option<(Arc<str>, Arc<str>)>,
    /// How to come back after a failure.
    pub pace: Pace,
}

/// Follows the API server for the proxy; not yet running.
pub struct Discovery {
    client: Client,
    settings: Settings,
    health: Arc<Health>,
    told: Arc<dyn Told>,
    core: Mutex<Core>,
    notices: Arc<Outbox<Notice>>,
    unpublished: Arc<Outbox<Name>>,
    subjects: Arc<Notify>,
}

impl Discovery {
    /// Discovery, and how it is doing. `health` is the one of the pods' watch, where there is one, so that
    /// series of watches stand once.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
        health: Arc<Health>,
        told: Arc<dyn Told>,
    ) -> (Self, Arc<Status>) {
        let status = Arc::new(Status::new(health.clone()));
        let (notices, unpublished) = (Arc::<Outbox<_>>::default(), Arc::<Outbox<_>>::default());
        let subjects = Arc::<Notify>::default();
        let links = Links {
            told: told.clone(),
            health: health.clone(),
            status: status.clone(),
            notices: notices.clone(),
            unpublished: unpublished.clone(),
            subjects: subjects.clone(),
        };
        let core = Mutex::new(Core::new(&settings, links));
        (Self { client, settings, health, told, core, notices, unpublished, subjects }, status)
    }

    /// Follows the server until `stop`. No failure ends it.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow_all() => {}
            () = self.notice_wanted() => {}
            () = self.ask_for_slices() => {}
            () = self.write() => {}
        }
    }

    /// Follows the server as [`Self::run`] does, until `enough`, and writes nothing there.
    pub async fn look(self, enough: impl Future<Output = ()>) {
        tokio::select! {
            () = enough => {}
            () = self.follow_all() => {}
            () = self.notice_wanted() => {}
            () = self.ask_for_slices() => {}
        }
    }

    /// Keeps a feed for each subject, and none for any other.
    async fn follow_all(&self) {
        let mut feeds: FuturesUnordered<Abortable<BoxFuture<'_, ()>>> = FuturesUnordered::new();
        let mut handles: BTreeMap<Subject, AbortHandle> = BTreeMap::new();
        loop {
            let wanted: BTreeSet<Subject> = self.core().subjects();
            handles.retain(|subject, handle| {
                let stays = wanted.contains(subject);
                if !stays {
                    handle.abort();
                }
                stays
            });
            for subject in wanted {
                handles.entry(subject).or_insert_with_key(|subject| {
                    let (handle, registration) = AbortHandle::new_pair();
                    let feed: BoxFuture<'_, ()> = Box::pin(self.follow(subject.clone()));
                    feeds.push(Abortable::new(feed, registration));
                    handle
                });
            }
            // Feeds end only by being aborted.
            tokio::select! {
                () = self.subjects.notified() => {}
                Some(_) = feeds.next() => {}
            }
        }
    }

    async fn follow(&self, subject: Subject) {
        let feed = Feed {
            client: self.client.clone(),
            target: subject.target(),
            pace: self.settings.pace,
            health: self.health.clone(),
        };
        match &subject {
            Subject::Classes => feed.follow(|changes| self.core().classes(changes)).await,
            Subject::Ingresses => feed.follow(|changes| self.core().ingresses(changes)).await,
            Subject::Authorities(_) => {
                feed.follow(|changes| self.core().authorities(changes)).await;
            }
            Subject::Secret(name) => feed.follow(|changes| self.core().secret(name, changes)).await,
            Subject::Service(name) => {
                feed.follow(|changes| self.core().service(name, changes)).await;
            }
            Subject::Slices(name) => feed.follow(|changes| self.core().slices(name, changes)).await,
            Subject::Endpoints(name) => {
                feed.follow(|changes| self.core().endpoints(name, changes)).await;
            }
            Subject::Pods(name, _) => feed.follow(|changes| self.core().pods(name, changes)).await,
        }
    }

    /// Looks again whenever other Services are wanted, and stops waiting for a class that does not come.
    async fn notice_wanted(&self) {
        let mut wanted = self.told.wanted();
        let late = sleep(CLASS_WAIT);
        tokio::pin!(late);
        let mut is_late = false;
        loop {
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => {
                        wanted.mark_unchanged();
                        self.core().wanted();
                    }
                    // Nobody wants anything else any more.
                    Err(_) => return std::future::pending().await,
                },
                () = &mut late, if !is_late => {
                    is_late = true;
                    self.core().class_is_late();
                }
            }
        }
    }

    /// Asks until it is known whether there are slices to follow.
    async fn ask_for_slices(&self) {
        let mut backoff = Backoff::new(self.settings.pace);
        loop {
            if let Ok(served) = slices_are_served(&self.client).await {
                self.core().slices_are_served(served);
                return std::future::pending().await;
            }
            sleep(backoff.next(None)).await;
        }
    }

    async fn write(&self) {
        let events = write::events(&self.client, &self.notices, &self.settings.node);
        let statuses =
            write::statuses(&self.client, &self.unpublished, &self.settings.publish, |name| {
                self.core().lacks_status(name)
            });
        tokio::join!(events, statuses, std::future::pending::<()>());
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server has EndpointSlices in v1. Where it does not say who has which, they are supposed.
async fn slices_are_served(client: &Client) -> Result<bool, ()> {
    let request = Request::get(SLICES).body(Vec::new()).map_err(|_| ())?;
    match exchange(client, request).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.status == Some(404) => Ok(false),
        Err(fault) if fault.kind == Failure::Forbidden => Ok(true),
        Err(_) => Err(()),
    }
}

/// Tries each right that the proxy needs with these settings.
///
/// What it will ask for by name is tried for all names, so a right that is narrowed to some is told as absent.
pub async fn access(client: &Client, settings: &Settings) -> Vec<Right> {
    let slices = match slices_are_served(client).await {
        Ok(false) => health::Feed::Endpoints,
        _ => health::Feed::EndpointSlices,
    };
    let mut feeds = vec![health::Feed::Services, slices, health::Feed::ServicePods];
    if settings.ingress_class.is_some() {
        feeds.extend([health::Feed::Ingresses, health::Feed::IngressClasses]);
    }
    if settings.ingress_class.is_some() || settings.authorities.is_some() {
        feeds.push(health::Feed::Secrets);
    }
    let targets: Vec<_> = feeds.into_iter().map(smallest).collect();
    tried(client, &targets).await
}

/// Asks for as little as the right can be tried with: of Secrets for one that nobody has.
fn smallest(feed: health::Feed) -> Target {
    let fields = (feed == health::Feed::Secrets).then(|| "metadata.name=podmeter-check".to_owned());
    Target { feed, fields, ..Target::default() }
}
