//! What the access log needs to know of a request, kept until it ends. Only made where there is an access log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::USER_AGENT;
use http::{HeaderValue, Method, Request, StatusCode, Version};

use crate::labels::LabelSet;
use crate::proxy::access_log::Entry;
use crate::proxy::route::Route;
use crate::proxy::worker::Worker;

/// A request's line in the making.
pub(crate) struct Logged {
    time: SystemTime,
    began: Instant,
    method: Method,
    host: String,
    path: String,
    protocol: Version,
    user_agent: Option<HeaderValue>,
    client: IpAddr,
    route: Arc<str>,
    template: Arc<str>,
    pod: Option<Arc<LabelSet>>,
    first_byte: Option<Duration>,
}

/// How a request ended.
pub(crate) struct Ended {
    pub(crate) status: StatusCode,
    pub(crate) error: Option<&'static str>,
    pub(crate) added: Duration,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) trace: Option<[u8; 16]>,
}

impl Logged {
    /// `None` where nothing is logged.
    pub(crate) fn read<B>(
        worker: &Worker,
        request: &Request<B>,
        began: Instant,
        client: impl FnOnce() -> IpAddr,
    ) -> Option<Box<Self>> {
        worker.shared.access_log.as_ref()?;
        let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(http::uri::Authority::as_str).or(host);
        Some(Box::new(Self {
            time: SystemTime::now(),
            began,
            method: request.method().clone(),
            host: host.unwrap_or_default().to_owned(),
            path: request.uri().path().to_owned(),
            protocol: request.version(),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            client: client(),
            route: Arc::default(),
            template: Arc::default(),
            pod: None,
            first_byte: None,
        }))
    }

    pub(crate) fn routed(&mut self, route: &Route) {
        self.route = route.origin.name.clone();
        self.template = route.path.template().clone();
    }

    /// A pod answers.
    pub(crate) fn answered(&mut self, pod: Arc<LabelSet>) {
        self.pod = Some(pod);
        self.first_byte = Some(self.began.elapsed());
    }

    /// Writes the line.
    pub(crate) fn write(&self, worker: &Worker, ended: &Ended) {
        let Some(log) = &worker.shared.access_log else { return };
        let of_pod = |name| self.pod.as_ref().and_then(|pod| pod.value(name)).unwrap_or_default();
        log.write(
            worker.index,
            &Entry {
                time: self.time,
                method: &self.method,
                host: &self.host,
                path: &self.path,
                route: &self.route,
                template: &self.template,
                status: ended.status,
                error: ended.error,
                total: self.began.elapsed(),
                first_byte: self.first_byte,
                added: ended.added,
                request_bytes: ended.request_bytes,
                response_bytes: ended.response_bytes,
                client: self.client,
                pod_namespace: of_pod("namespace"),
                pod: of_pod("pod"),
                protocol: self.protocol,
                trace: ended.trace,
                user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
            },
        );
    }
}
