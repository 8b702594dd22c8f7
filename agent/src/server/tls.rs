//! TLS on Podmeter's own addresses: the proxy's handshakes and files, with one certificate and HTTP/1.1 alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use collector::labels::{Label, LabelSet};
use collector::proxy::refusal;
use collector::proxy::route::Fault;
use collector::proxy::settings;
use collector::proxy::tls::{Acceptor, Files, Protocols, Session};
use collector::schema::Series;
use collector::snapshot::{Contribute, Snapshot};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::access::Reason;
use super::{Refusal, Shared};

/// The files, which are followed.
pub(crate) struct Tls {
    acceptor: Arc<Acceptor>,
    files: Files,
}

/// Makes handshakes with what the files held last.
pub(super) struct Handshakes(Arc<Acceptor>);

/// What is told of the files.
pub(super) struct Stats {
    acceptor: Arc<Acceptor>,
    faults: watch::Receiver<Arc<Vec<Fault>>>,
}

impl Tls {
    /// Reads the files. At most so many connections may be open whose clients showed certificates.
    ///
    /// # Errors
    /// When a file cannot be used, since there is no last good one yet.
    pub(super) fn open(
        settings: &settings::Tls,
        connections: usize,
    ) -> anyhow::Result<(Self, Handshakes)> {
        let acceptor = acceptor(settings, connections)?;
        let mut files = Files::new(settings);
        files.load_first(&*acceptor).context("cannot serve TLS")?;
        let handshakes = Handshakes(acceptor.clone());
        Ok((Self { acceptor, files }, handshakes))
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { acceptor: self.acceptor.clone(), faults: self.files.faults() }
    }

    /// Follows the files until `stop`. What cannot be used changes nothing and is told in the log, once.
    ///
    /// # Errors
    /// Never: a file that cannot be used is data.
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.files.run(self.acceptor, stop).await;
        Ok(())
    }
}

/// What makes the handshakes; nothing is read yet.
///
/// # Errors
/// When the system gives no random bytes.
pub(crate) fn acceptor(
    settings: &settings::Tls,
    connections: usize,
) -> anyhow::Result<Arc<Acceptor>> {
    let acceptor = Acceptor::new(settings, connections, Protocols::Http1);
    Ok(Arc::new(acceptor.context("cannot set up TLS")?))
}

impl Handshakes {
    /// Makes one within the time for a head; counts why it failed.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        shared: &Shared,
    ) -> Option<(TlsStream<TcpStream>, Session)> {
        match timeout(shared.settings.head_timeout, self.0.accept(stream)).await {
            Ok(Ok(shaken)) => return Some(shaken),
            Ok(Err(refusal::Refusal::ClientCertificate)) => {
                shared.entry.access.stats.refuse(Reason::BadCertificate);
            }
            Ok(Err(refusal::Refusal::Connections)) => {
                shared.stats.refuse(Refusal::TooManyConnections);
            }
            Ok(Err(_)) => shared.stats.refuse(Refusal::Handshake),
            Err(_) => shared.stats.refuse(Refusal::HandshakeTimeout),
        }
        None
    }
}

impl Contribute for Stats {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        let mut faults: BTreeMap<&'static str, u32> = BTreeMap::new();
        for fault in self.faults.borrow().iter() {
            *faults.entry(fault.reason).or_default() += 1;
        }
        for (reason, count) in faults {
            let label = Arc::new(LabelSet::new(vec![Label::own("reason", reason)]));
            snapshot.add(Series::TlsFaults.into(), agent, Some(label), f64::from(count));
        }
        let ends = self.acceptor.expiries().into_iter().map(|(_, until)| until);
        let seconds = |until: SystemTime| until.duration_since(SystemTime::UNIX_EPOCH).ok();
        if let Some(first) = ends.min().and_then(seconds) {
            let first = first.as_secs_f64();
            snapshot.add(Series::TlsCertificateExpiry.into(), agent, None, first);
        }
    }
}
