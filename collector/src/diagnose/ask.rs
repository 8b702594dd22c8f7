//! The questions about a stuck pod, one request at a time, and what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use kube::Client;
use kube::api::{GetParams, ListParams};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{info, warn};

use super::cases::Answer;
use super::event::{Event, Events, verdict};
use super::reason::{Diagnosis, Reason};
use super::volume::{self, Attachment, Attachments, ClaimObject};
use crate::api::feed::{Fault, exchange, is_name};
use crate::api::health::Failure;
use crate::api::lax::Lax;
use crate::labels::{Label, LabelSet};
use crate::pods::model::{Claim, Pod};
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Events of a pod that are looked at.
const MAX_EVENTS: u32 = 100;
/// Claims of a pod that are looked at.
const MAX_CLAIMS: usize = 8;
/// `VolumeAttachments` asked for at once: with their managed fields some 2 KiB each.
const PAGE: u32 = 200;
/// Pages that are asked for: 20,000 volumes.
const MAX_PAGES: usize = 100;
/// How long a list of `VolumeAttachments` serves all stuck pods.
const FRESH: Duration = Duration::from_secs(30);
/// How long a refusal for want of a right is taken to hold.
const REFUSED: Duration = Duration::from_secs(300);

/// What is asked for. The `resource` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The Events of a pod.
    Events,
    /// A claim of a persistent volume.
    Claims,
    /// Which node has which volume.
    Attachments,
}

/// How asking ended. The `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// With an answer.
    Ok,
    /// The `ClusterRole` lacks the right.
    Forbidden,
    /// Anything else.
    Failed,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Events, Self::Claims, Self::Attachments];

    /// The label value: what rules of RBAC call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Claims => "persistentvolumeclaims",
            Self::Attachments => "volumeattachments",
        }
    }

    /// The one verb that is used on it.
    #[must_use]
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Claims => &["get"],
            Self::Events | Self::Attachments => &["list"],
        }
    }

    /// The API group it is in; empty for the core's.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Attachments => "storage.k8s.io",
            Self::Events | Self::Claims => "",
        }
    }

    /// Where it is, in a namespace or, without one, in the whole cluster.
    pub(super) fn path(self, namespace: Option<&str>) -> kube::core::Request {
        let base = match self.group() {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        let space = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        kube::core::Request::new(format!("{base}{space}/{}", self.as_str()))
    }
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Forbidden, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
        }
    }
}

/// How often what was asked.
#[derive(Debug, Default)]
pub(super) struct Counts([[AtomicU64; Outcome::ALL.len()]; Resource::ALL.len()]);

/// Adds `podmeter_diagnose_requests_total`.
pub struct Observer {
    counts: Arc<Counts>,
    sets: Vec<Arc<LabelSet>>,
}

impl Observer {
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        let set = |resource: Resource, outcome: Outcome| {
            Arc::new(LabelSet::new(vec![
                Label::own("resource", resource.as_str()),
                Label::own("outcome", outcome.as_str()),
            ]))
        };
        let sets = Resource::ALL.into_iter();
        let sets = sets.flat_map(|resource| Outcome::ALL.map(|outcome| set(resource, outcome)));
        Self { counts, sets: sets.collect() }
    }
}

impl Contribute for Observer {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (count, set) in self.counts.0.iter().flatten().zip(&self.sets) {
            let count = count.load(Relaxed) as f64;
            snapshot.add(Series::DiagnoseRequests.into(), agent, Some(set.clone()), count);
        }
    }
}

/// Asks, and remembers what was refused.
pub(super) struct Asking {
    client: Client,
    node: Arc<str>,
    counts: Arc<Counts>,
    /// Until when not to ask for a resource again.
    refused: [Option<Instant>; Resource::ALL.len()],
    attachments: Option<(Instant, Arc<[Attachment]>)>,
}

/// There is no answer; why was counted and, if it is a right, logged.
struct Unasked {
    /// Other questions would fare no better.
    is_away: bool,
    is_absent: bool,
}

impl Asking {
    pub(super) fn new(client: Client, node: Arc<str>, counts: Arc<Counts>) -> Self {
        Self { client, node, counts, refused: [None; 3], attachments: None }
    }

    /// Forgets what it knows of volumes.
    pub(super) fn rest(&mut self) {
        self.attachments = None;
    }

    /// Asks about one pod; `told` is what its status says already.
    pub(super) async fn about(&mut self, pod: &Pod, told: Reason) -> Answer {
        let events = match self.events(pod).await {
            Err(Unasked { is_away: true, .. }) => return Answer::Unasked,
            events => events,
        };
        let evidence = events.as_ref().ok().and_then(|events| verdict(events, &pod.namespace));
        let is_of_volumes = evidence.as_ref().is_none_or(|evidence| evidence.is_of_volumes);
        if told == Reason::Unknown && is_of_volumes {
            match self.volumes(pod).await {
                Ok(Some(diagnosis)) => return Answer::Found(diagnosis),
                Err(Unasked { is_away: true, .. }) => return Answer::Unasked,
                Ok(None) | Err(_) => {}
            }
        }
        match (evidence, events) {
            (Some(evidence), _) => Answer::Found(evidence.diagnosis),
            (None, Ok(_)) => Answer::Nothing,
            (None, Err(_)) => Answer::Unasked,
        }
    }

    async fn events(&mut self, pod: &Pod) -> Result<Vec<Event>, Unasked> {
        // The kubelet knows a static pod by the hash of its file and not by its mirror's uid.
        let selector = match pod.config_hash {
            Some(_) => format!("involvedObject.kind=Pod,involvedObject.name={}", pod.name),
            None => format!("involvedObject.uid={}", pod.uid),
        };
        let params = ListParams::default().fields(&selector).limit(MAX_EVENTS);
        let request = Resource::Events.path(Some(&pod.namespace)).list(&params);
        let names = [&pod.namespace, &pod.name];
        let list: Events = self.ask(Resource::Events, &names, request).await?;
        Ok(list.items.0)
    }

    /// What keeps one of the pod's volumes.
    async fn volumes(&mut self, pod: &Pod) -> Result<Option<Diagnosis>, Unasked> {
        let mut of_claim = None;
        for claim in pod.claims.iter().take(MAX_CLAIMS) {
            let object = match self.claim(pod, claim).await {
                Ok(object) => object,
                Err(Unasked { is_absent: true, .. }) => {
                    return Ok(Some(volume::absent(claim, &pod.namespace)));
                }
                Err(unasked) => return Err(unasked),
            };
            of_claim = of_claim.or_else(|| object.trouble(claim, &pod.namespace));
            let Some(name) = object.volume().filter(|_| !object.is_shared()) else { continue };
            let attachments = self.attachments().await?;
            if let Some(held) = volume::elsewhere(&name, &self.node, &attachments) {
                return Ok(Some(volume::held(claim, &pod.namespace, &name, held)));
            }
        }
        Ok(of_claim)
    }

    async fn claim(&mut self, pod: &Pod, claim: &Claim) -> Result<ClaimObject, Unasked> {
        let request =
            Resource::Claims.path(Some(&pod.namespace)).get(&claim.name, &GetParams::default());
        self.ask(Resource::Claims, &[&pod.namespace, &claim.name], request).await
    }

    /// All that are there, from the last time if that is not long ago.
    async fn attachments(&mut self) -> Result<Arc<[Attachment]>, Unasked> {
        if let Some((at, known)) = &self.attachments
            && at.elapsed() < FRESH
        {
            return Ok(known.clone());
        }
        let mut all = Vec::new();
        let mut next: Option<Arc<str>> = None;
        for _ in 0..MAX_PAGES {
            let mut params = ListParams::default().limit(PAGE);
            params.continue_token = next.as_deref().map(str::to_owned);
            let request = Resource::Attachments.path(None).list(&params);
            let page: Attachments = self.ask(Resource::Attachments, &[], request).await?;
            all.extend(page.items.0.into_iter().filter_map(volume::AttachmentObject::kept));
            next = page.metadata.into_inner().next.0;
            if next.is_none() {
                break;
            }
        }
        let all: Arc<[Attachment]> = all.into();
        self.attachments = Some((Instant::now(), all.clone()));
        Ok(all)
    }

    /// One request. `names` stand in its path or selector.
    async fn ask<T: for<'de> Deserialize<'de> + Default>(
        &mut self,
        resource: Resource,
        names: &[&Arc<str>],
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Unasked> {
        let refused = self.refused[resource as usize];
        let unasked = Unasked { is_away: false, is_absent: false };
        if refused.is_some_and(|until| Instant::now() < until)
            || !names.iter().all(|name| is_name(name))
        {
            return Err(unasked);
        }
        let Ok(request) = request else { return Err(unasked) };
        let answer = exchange(&self.client, request).await.and_then(|bytes| read(&bytes));
        let outcome = match &answer {
            Ok(_) => Outcome::Ok,
            // That it is not there is an answer.
            Err(fault) if fault.status == Some(404) => Outcome::Ok,
            Err(fault) if fault.kind == Failure::Forbidden => Outcome::Forbidden,
            Err(_) => Outcome::Failed,
        };
        self.counts.0[resource as usize][outcome as usize].fetch_add(1, Relaxed);
        self.heed(resource, outcome);
        answer.map_err(|fault| Unasked {
            is_away: outcome == Outcome::Failed,
            is_absent: fault.status == Some(404),
        })
    }

    /// Says once that a right is missing, and once that it is there.
    fn heed(&mut self, resource: Resource, outcome: Outcome) {
        let refused = &mut self.refused[resource as usize];
        let (name, group) = (resource.as_str(), resource.group());
        let verb = resource.verbs().concat();
        match outcome {
            Outcome::Forbidden => {
                if refused.is_none() {
                    warn!(
                        resource = name,
                        "why pods are stuck is not known whole: grant {verb} on {name} (API group {group:?}), as deploy/manifests/rbac-diagnose.yaml does, or set kubernetes.diagnose to false"
                    );
                }
                *refused = Some(Instant::now() + REFUSED);
            }
            Outcome::Ok => {
                if refused.take().is_some() {
                    info!(resource = name, "the API server lets us {verb} {name} now");
                }
            }
            Outcome::Failed => {}
        }
    }
}

fn read<T: for<'de> Deserialize<'de> + Default>(bytes: &Bytes) -> Result<T, Fault> {
    let read = serde_json::from_slice::<Lax<T>>(bytes);
    read.map(Lax::into_inner).map_err(|_| Fault::new(Failure::Decode, "no JSON"))
}
