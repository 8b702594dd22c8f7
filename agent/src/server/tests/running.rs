//! A server that runs, the ends that the sampling thread would hold, and a client that hides nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use collector::labels::{Label, LabelSet};
use collector::schema::{Scope, Series};
use collector::snapshot::{Entity, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::super::*;

pub(super) type Ask = oneshot::Sender<Arc<Snapshot>>;

/// A server that runs, and the ends that the sampling thread would hold.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) stats: Stats,
    pub(super) stop: CancellationToken,
    pub(super) server: JoinSet<anyhow::Result<()>>,
    pub(super) latest: watch::Sender<Option<Arc<Snapshot>>>,
    pub(super) asks: mpsc::Receiver<Ask>,
}

pub(super) async fn start(
    settings: Settings,
    latest: Option<Snapshot>,
    readiness: Readiness,
) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stats, stop) = (Stats::default(), CancellationToken::new());
    let (latest, receiver) = watch::channel(latest.map(Arc::new));
    let (ask, asks) = mpsc::channel(4);
    let entry = Entry::default();
    let server = Server::new(settings, entry, Ticks::new(receiver, ask), readiness, stats.clone());
    let mut running = JoinSet::new();
    running.spawn(server.run(vec![listener], stop.clone()));
    Running { address, stats, stop, server: running, latest, asks }
}

/// With a snapshot of now, and nobody who takes a fresh one.
pub(super) async fn sampled(settings: Settings) -> Running {
    let mut running = start(settings, Some(snapshot(1)), Readiness::default()).await;
    running.asks.close();
    running
}

pub(super) fn short(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn snapshot(load: u32) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.reset(SystemTime::now());
    let node = Entity {
        scope: Scope::Node,
        labels: Arc::new(LabelSet::new(vec![Label::own("node", "n1")])),
        start: None,
        cpu_cores: None,
    };
    let node = snapshot.add_entity(node);
    snapshot.add(Series::NodeLoad1.into(), node, None, f64::from(load));
    snapshot
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let headers = headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.collect(),
            body: bytes[end + 4..].to_owned(),
        }
    }
}

/// Reads until the server closes; a reset after the answer is as good as an end.
pub(super) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

impl Running {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(super) async fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn raw(&self, request: &str) -> Reply {
        Reply::parse(&rest(&mut self.send(request).await).await)
    }

    pub(super) async fn ask(&self, what: &str, headers: &str) -> Reply {
        self.raw(&format!("{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "").await
    }

    /// Stops, so that every connection has been counted.
    pub(super) async fn end(&mut self) -> Stats {
        self.stop.cancel();
        self.server.join_next().await.unwrap().unwrap().unwrap();
        self.stats.clone()
    }
}

/// With the test as the one who takes fresh snapshots, and time for that.
pub(super) async fn sampled_by_hand(settings: Settings) -> Running {
    start(
        Settings { fresh_wait: Duration::from_secs(60), ..settings },
        Some(snapshot(1)),
        Readiness::default(),
    )
    .await
}
