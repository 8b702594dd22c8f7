//! A thousand clients that keep a proxy's connections and ask for next to nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use socket2::{Domain, Socket, Type};

use super::client::{Connection, Target};
use super::plan::CROWD;
use super::site::{LARGE, SMALL};

/// Each slow client moves once a second; they take turns in so many groups.
const GROUPS: usize = 50;
/// What a slow reader takes of its answer in a second.
const SIP: usize = 1 << 10;
/// Its socket's buffer: the answer is to wait in the proxy and not in the client's kernel.
const BUFFER: usize = 4 << 10;
/// Bytes of a segment, as on Ethernet. The proxy's kernel makes its own buffer as large as some of them, and
/// with the loopback's 64 KiB it would take the whole answer off the proxy.
const SEGMENT: u32 = 1448;

/// What they do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Had an answer each and keep the connection.
    Idle,
    /// Half of them send a byte of their header a second, half read 1 KiB of 100 a second.
    Slow,
}

/// All of them.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Crowd {
    /// Opens all their connections.
    pub(crate) fn gather(kind: Kind, address: SocketAddr) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("crowd".to_owned());
        let thread = match kind {
            Kind::Idle => {
                let target = Target { address, tls: None, page: SMALL };
                let mut buffer = vec![0; 4 << 10];
                let mut clients = (0..CROWD)
                    .map(|_| Connection::used(&target, &mut buffer))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                thread.spawn(move || {
                    while !flag.load(Ordering::Relaxed) {
                        std::thread::park();
                    }
                    // Nothing is due, so anything but "not yet" is an end.
                    let found = clients.iter_mut().map(|client| client.advance(&mut buffer));
                    found.filter(|found| *found != Ok(false)).count()
                })?
            }
            Kind::Slow => {
                let clients = (0..CROWD)
                    .map(|number| Sluggard::open(address, number % 2 == 0))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                thread.spawn(move || dawdle(clients, address, &flag))?
            }
        };
        Ok(Self { stop, thread })
    }

    /// Ends them. Returns how many connections the proxy had cut.
    pub(crate) fn leave(self) -> anyhow::Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| anyhow!("a crowd has panicked"))
    }
}

/// A slow client.
struct Sluggard {
    stream: TcpStream,
    is_writer: bool,
}

impl Sluggard {
    fn open(address: SocketAddr, is_writer: bool) -> anyhow::Result<Self> {
        let stream = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if !is_writer {
            // Before the connection is there: both are told to the other side at its start.
            stream.set_recv_buffer_size(BUFFER)?;
            stream.set_tcp_mss(SEGMENT)?;
        }
        stream.connect(&address.into())?;
        let mut stream = TcpStream::from(stream);
        let target = Target { address, tls: None, page: LARGE };
        if is_writer {
            let request = target.request("X-Slow: a");
            // Everything but the end of the header's line and of the head.
            stream.write_all(request.trim_end().as_bytes())?;
        } else {
            stream.write_all(target.request("").as_bytes())?;
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, is_writer })
    }

    /// One second's worth; `false` if the proxy has had enough of it.
    fn step(&mut self) -> bool {
        let moved =
            if self.is_writer { self.stream.write(b"a") } else { self.stream.read(&mut [0; SIP]) };
        match moved {
            Ok(bytes) => bytes > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Lets each move once a second until told to stop; another takes the place of one that was cut.
fn dawdle(mut clients: Vec<Sluggard>, address: SocketAddr, stop: &AtomicBool) -> usize {
    let (start, mut cut) = (Instant::now(), 0);
    let apart = Duration::from_secs(1) / u32::try_from(GROUPS).unwrap_or(u32::MAX);
    let mut next = Duration::ZERO;
    for group in (0..GROUPS).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for client in clients.iter_mut().skip(group).step_by(GROUPS) {
            if !client.step() {
                cut += 1;
                if let Ok(another) = Sluggard::open(address, client.is_writer) {
                    *client = another;
                }
            }
        }
        next += apart;
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    cut
}
