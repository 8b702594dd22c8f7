//! A running proxy and clients that speak to it in raw bytes.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pod::Pod;
use crate::labels::LabelSet;
use crate::proxy::control::Told;
use crate::proxy::listen::Stop;
use crate::proxy::route::{Action, Bounds, Edits, Host, Origin, Path, Route, Source};
use crate::proxy::service::{Endpoint, Port, Protocol, Service, ServiceKey, State};
use crate::proxy::settings::Settings;
use crate::proxy::start::Proxy;
use crate::proxy::stats::Stats;

/// Far more than anything here needs, so that only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(30);

/// The proxy; stopped when dropped.
pub(super) struct Running {
    address: SocketAddr,
    told: Arc<dyn Told>,
    stop: Stop,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    /// One worker that sends everything for `a.test` to these pods.
    pub(super) fn start(pods: &[&Pod]) -> Self {
        let settings = Settings {
            workers: 1,
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..Settings::default()
        };
        Self::start_with(settings, pods)
    }

    pub(super) fn start_with(settings: Settings, pods: &[&Pod]) -> Self {
        let stats = Stats::new(&"node".into(), 1, 100, Arc::new(AtomicU64::new(0)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let proxy = Proxy::open(settings, stats, None, BTreeSet::new()).unwrap();
        drop(entered);
        let told = proxy.control();
        assert!(told.routes(Source::File, vec![route("/")]).is_empty());
        told.service(&key("web"), Some(service(pods)));
        let address = proxy.addresses()[0].address;
        let stop = Stop { drain: CancellationToken::new(), timeout: LIMIT };
        let threads = proxy
            .into_threads()
            .into_iter()
            .map(|of_worker| {
                let stop = stop.clone();
                thread::spawn(move || of_worker.block(stop))
            })
            .collect();
        Self { address, told, stop, threads }
    }

    /// Puts these routes in the place of the one.
    pub(super) fn routes(&self, routes: Vec<Route>) {
        assert_eq!(self.told.routes(Source::File, routes), []);
    }

    /// Another service with these pods.
    pub(super) fn service(&self, name: &str, pods: &[&Pod]) {
        self.told.service(&key(name), Some(service(pods)));
    }
    pub(super) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Client { stream, rest: Vec::new() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.drain.cancel();
        for thread in self.threads.drain(..) {
            thread.join().unwrap().unwrap();
        }
    }
}

pub(super) fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: "".into(), name: name.into(), port: Port::Number(80) }
}

/// A route for what of `a.test` lies below this path.
pub(super) fn route(prefix: &str) -> Route {
    Route {
        origin: Origin { source: Source::File, namespace: "".into(), name: prefix.into() },
        host: Host::Exact("a.test".into()),
        path: Path::Prefix(prefix.into()),
        conditions: Vec::new(),
        action: Action::Forward(vec![(key("web"), 1)]),
        rewrite: None,
        request: Edits::default(),
        response: Edits::default(),
        affinity: None,
        https_only: false,
        bounds: Bounds::default(),
    }
}

fn service(pods: &[&Pod]) -> Service {
    let endpoint = |pod: &&Pod| Endpoint {
        id: pod.address.to_string().into(),
        address: pod.address,
        state: State::Ready,
        node: None,
        zone: None,
        labels: Arc::new(LabelSet::default()),
    };
    Service {
        protocol: Protocol::Http1,
        tls: false,
        endpoints: pods.iter().map(endpoint).collect(),
    }
}

/// A client's connection.
pub(super) struct Client {
    stream: TcpStream,
    rest: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let is_it = |line: &&str| line.split_once(": ").is_some_and(|(found, _)| found == name);
        self.head.lines().find(is_it).map(|line| &line[name.len() + 2..])
    }
}

impl Client {
    /// Sends these bytes and reads one answer.
    pub(super) fn ask(&mut self, request: &str) -> Answer {
        self.stream.write_all(request.as_bytes()).unwrap();
        let end = loop {
            match self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more(),
            }
        };
        let head = String::from_utf8(self.rest.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.rest.len() < length {
                self.more();
            }
            answer.body = String::from_utf8(self.rest.drain(..length).collect()).unwrap();
        } else if answer.header("transfer-encoding").is_some() {
            while !self.rest.ends_with(b"0\r\n\r\n") {
                self.more();
            }
            let text = String::from_utf8(std::mem::take(&mut self.rest)).unwrap();
            answer.body = text.split("\r\n").skip(1).step_by(2).collect();
        }
        answer
    }

    /// Sends these bytes and reads until the connection is closed.
    pub(super) fn read_after(&mut self, request: &str) -> String {
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        // A connection that is cut may end in a reset.
        let _ = self.stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    }

    /// Sends these bytes over what the connection has become, and reads as many.
    pub(super) fn echo(&mut self, text: &str) -> String {
        self.stream.write_all(text.as_bytes()).unwrap();
        while self.rest.len() < text.len() {
            self.more();
        }
        String::from_utf8(self.rest.drain(..text.len()).collect()).unwrap()
    }

    fn more(&mut self) {
        let mut buffer = [0; 4096];
        let length = self.stream.read(&mut buffer).unwrap();
        assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&self.rest));
        self.rest.extend_from_slice(&buffer[..length]);
    }
}

/// A request's head in the making.
pub(super) struct Head(String);

/// A request for `a.test`.
pub(super) fn request(method: &str, target: &str) -> Head {
    Head(format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n"))
}

impl Head {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.0 += &[name, ": ", value, "\r\n"].concat();
        self
    }

    pub(super) fn text(self) -> String {
        self.0 + "\r\n"
    }
}
